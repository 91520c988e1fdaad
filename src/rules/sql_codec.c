#include "base/encode.h"
#include "expr/eval.h"
#include "rules/protobuf.h"
#include "rules/sql_internal.h"

/* encode, decode, get_or_default. */

Str sql_whole_payload(ExprRun *run, const ExprNode *arg) {
    SqlRun *r = sql_host(run);
    return arg->eval == sql_eval_star && !r->scope ? r->message->in.payload : STR_NONE;
}

static bool is_base64(ExprRun *run, const ExprValue *scheme, ExprValue *out) {
    if (scheme->type == EXPR_STRING && str_eq(scheme->s, S("base64"))) return true;
    *out = expr_because(run, "the scheme is 'base64', got %.*s", PS(expr_shown(run, scheme)));
    return false;
}

static void call_encode(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Str bytes = sql_whole_payload(run, node->kids[0]);
    if (!is_base64(run, &args[1], out)) return;
    if (!bytes.ptr) bytes = args[0].type == EXPR_BYTES ? args[0].s : expr_text(run, &args[0]);
    if (!bytes.ptr) {
        if (args[0].type != EXPR_UNDEFINED) *out = expr_because(run, "%s has no text", expr_type_name(args[0].type));
        return;
    }
    if (expr_make(run, (bytes.len + 2) / 3 * 4)) *out = expr_string(base64_encode(run->arena, bytes));
}

Str sql_as_text(ExprRun *run, Str bytes) {
    if (str_is_utf8(bytes)) return bytes;
    Writer w = writer_in(run->arena);
    for (size_t i = 0; i < bytes.len;) {
        size_t len = 1;
        while (len <= 4 && i + len <= bytes.len && !str_is_utf8(str_sub(bytes, i, i + len))) len++;
        bool good = len <= 4 && i + len <= bytes.len;
        writer_bytes(&w, good ? str_sub(bytes, i, i + len) : S("\xef\xbf\xbd"));
        i += good ? len : 1;
    }
    return writer_str(&w);
}

/* An addressable value where the text is JSON, else the text. */
static void set_decoded(ExprRun *run, Str bytes, ExprValue *out) {
    yyjson_val *json;
    if (!expr_make(run, bytes.len * 2)) return; /* counts it */
    if (json_read(run->arena, bytes, true, &json, NULL) == OK)
        expr_from_json(json, run->whole_is_int, out);
    else
        *out = expr_string(sql_as_text(run, bytes));
}

static void call_decode(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    Str bytes;
    if (!is_base64(run, &args[1], out)) return;
    if (base64_decode(run->arena, args[0].s, &bytes) != OK)
        *out = expr_null();
    else
        set_decoded(run, bytes, out);
}

/* decode(data, 'proto', bucket, key, protoName, messageType): data is `*`, or base64. */
static void call_decode_proto(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Str message = sql_whole_payload(run, node->kids[0]), set, why;
    if (!message.ptr && args[0].type == EXPR_BYTES) message = args[0].s;
    for (size_t i = 1; i < 6; i++) {
        if (args[i].type == EXPR_STRING) continue;
        *out = expr_because(run, "argument %zu of decode must be a String, got %.*s", i + 1,
                            PS(expr_shown(run, &args[i])));
        return;
    }
    if (!str_eq(args[1].s, S("proto"))) {
        *out = expr_because(run, "the scheme is 'base64' or 'proto', got %.*s", PS(expr_shown(run, &args[1])));
        return;
    }
    if (!message.ptr) {
        ExprValue text = expr_convert(run, &args[0], EXPR_TO_STRING);
        if (text.type != EXPR_STRING) return;
        if (base64_decode(run->arena, text.s, &message) != OK) {
            *out = expr_null();
            return;
        }
    }
    SqlOutsideCall call = { .kind = SQL_PROTO_DESCRIPTOR, .args = { args[2].s, args[3].s } };
    if (!sql_outside(run, &call, &set)) return;
    Err e = protobuf_decode(run, set, args[4].s, args[5].s, message, out, &why);
    if (e != OK) expr_fail(run, e, "decode: %.*s", PS(why));
}

/* Its first argument may fail outside, which otherwise ends the rule: so it evaluates its arguments itself. */
static void eval_get_or_default(ExprRun *run, const ExprNode *node, ExprValue *out) {
    SqlRun *r = sql_host(run);
    *out = expr_undefined();
    if (node->n < 1 || node->n > 2) {
        *out = expr_because(run, "get_or_default takes 1 to 2 arguments, got %u", node->n);
        return;
    }
    if (run->notes) run->notes->hidden++;
    expr_eval(run, node->kids[0], out);
    if (run->notes) run->notes->hidden--;
    if (run->err != OK && r->outside_failed) {
        run->err = OK;
        run->why = STR_NONE;
        r->outside_failed = false;
        *out = expr_undefined();
    }
    if (out->type == EXPR_BYTES)
        *out = expr_because(run, "get_or_default takes no payload that is not JSON");
    else if (out->type != EXPR_UNDEFINED && out->type != EXPR_NULL)
        return;
    else if (node->n == 2)
        expr_eval(run, node->kids[1], out);
    else
        *out = expr_because(run, "there is no value and no default");
}

static const ExprFn ITEMS[] = {
    { .name = STR_INIT("encode"),
      .args_min = 2,
      .args_max = 2,
      .since = SQL_2016_03_23,
      .takes = "b",
      .call = call_encode },
    { .name = STR_INIT("decode"),
      .args_min = 2,
      .args_max = 2,
      .since = SQL_2016_03_23,
      .takes = "sv",
      .call = call_decode },
    { .name = STR_INIT("decode"),
      .args_min = 6,
      .args_max = 6,
      .since = SQL_2016_03_23,
      .takes = "b",
      .call = call_decode_proto,
      .reach = 1u << SQL_PROTO_DESCRIPTOR },
    { .name = STR_INIT("get_or_default"),
      .args_min = 1,
      .args_max = 2,
      .since = SQL_2016_03_23,
      .takes = "v",
      .eval = eval_get_or_default },
};

const ExprFns sql_codec_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
