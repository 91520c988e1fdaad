#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "mqtt/props.h"
#include "mqtt/topic.h"
#include "rules/action.h"
#include "rules/sql.h"
#include "server/commands/args.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"

/* A rule tried on one message, without a server: what it would send, or why not. */

static const char USAGE[] =
    "usage: starling sql STATEMENT --topic TOPIC --payload FILE [OPTIONS]\n"
    "       starling sql --rule FILE --topic TOPIC --payload FILE [OPTIONS]\n"
    "\n"
    "Runs a rule's SQL on a message, and prints the result; on standard error, what became Undefined and why.\n"
    "  --payload FILE      the message; - is standard input; without it, {}\n"
    "  --rule FILE         a rule as CreateTopicRule takes it (JSON): also prints what each action would be given\n"
    "  --version V         2015-10-08, 2016-03-23 (unless given) or beta; a rule says its own\n"
    "  --answers FILE      a JSON object: what functions that ask others answer, by name, such as\n"
    "                      {\"get_thing_shadow\": {\"state\": {}}, \"decode\": \"descriptors.desc\"}\n"
    "  --client-id ID, --principal P, --source-ip IP, --account ID, --trace-id ID, --time MS,\n"
    "  --user-property NAME=VALUE    of the message\n"
    "Exit status: 0 a result, 1 no result (the statement does not compile, or failed), 3 WHERE or FROM does not "
    "match.\n";

enum { NO_MATCH = 3, FILE_BYTES_MAX = 16 << 20 };

typedef struct {
    Arena arena;
    const char *topic, *payload, *rule, *version, *answers, *client_id, *principal, *source_ip, *account, *trace_id,
        *time;
    const char *user_property;
    Str statement;
    yyjson_val *rule_json;    /* NULL: no rule */
    yyjson_val *answers_json; /* NULL: none */
    const Sql *sql;
    SqlMessage *message;
    SqlEnv env;
    Rng rng;
} Trial;

static Err read_file(Trial *t, const char *path, Str *out, Str *why) {
    if (strcmp(path, "-") != 0) return client_read_file(path, FILE_BYTES_MAX, &t->arena, out, why);
    Writer w = writer_in(&t->arena);
    for (ssize_t n = 1; n > 0 && w.len < FILE_BYTES_MAX;) {
        uint8_t *p = writer_extend(&w, 4096);
        n = read(STDIN_FILENO, p, 4096);
        w.len -= (size_t)(4096 - (n > 0 ? n : 0));
    }
    *out = writer_str(&w);
    return OK;
}

static Err read_json(Trial *t, const char *path, yyjson_val **out, Str *why) {
    Str text, reason;
    Err e = read_file(t, path, &text, why);
    if (e != OK) return e;
    e = json_read(&t->arena, text, true, out, &reason);
    if (e == OK && !yyjson_is_obj(*out)) e = ERR_MALFORMED, reason = S("it is no JSON object");
    if (e != OK) *why = str_format(&t->arena, "%s: %.*s", path, PS(reason));
    return e;
}

/* ---- the compile error ---- */

static Str line_of(Str text, int32_t line) {
    Str rest = text, one = str_cut(&rest, '\n');
    while (--line > 0) one = str_cut(&rest, '\n');
    return one;
}

static int show_fault(Str text, const SqlFault *fault) {
    Str line = line_of(text, fault->line);
    fprintf(stderr, "starling: %.*s\n  %.*s\n  ", PS(fault->text), PS(line));
    int32_t column = 1;
    for (size_t i = 0; i < line.len && column < fault->column; i++) {
        if ((line.ptr[i] & 0xc0) == 0x80) continue;
        fputc(line.ptr[i] == '\t' ? '\t' : ' ', stderr);
        column++;
    }
    while (column++ < fault->column) fputc(' ', stderr);
    fputs("^\n", stderr);
    return 1;
}

static void show_undefined(const SqlResult *r) {
    for (size_t i = 0; i < r->undefined_n; i++) {
        const SqlUndefined *u = &r->undefined[i];
        fprintf(stderr, "line %d, column %d: %.*s is Undefined: %.*s\n", u->line, u->column, PS(u->expression),
                PS(u->why));
    }
}

/* ---- functions that ask others ---- */

static Err answer(void *ctx, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    static const char *const names[SQL_OUTSIDE_KINDS] = {
        "get_thing_shadow",        "aws_lambda", "get_dynamodb", "get_secret", "get_registry_data",
        "machinelearning_predict", "decode"
    };
    Trial *t = ctx;
    yyjson_val *found = t->answers_json ? json_get(t->answers_json, str_c(names[call->kind])) : NULL;
    if (!found) {
        *why = str_format(arena, "it asks others; say what they answer by --answers FILE with {\"%s\": ...}",
                          names[call->kind]);
        return ERR_NOT_IMPLEMENTED;
    }
    if (call->kind == SQL_PROTO_DESCRIPTOR) return read_file(t, str_dup_c(arena, json_str(found)), out, why);
    *out = call->kind == SQL_GET_SECRET && yyjson_is_str(found) ? json_str(found) : json_write(arena, found);
    return OK;
}

/* ---- the message ---- */

static Err open_message(Trial *t, Str *why) {
    SqlMessageIn in = { .topic = str_c(t->topic ? t->topic : ""),
                        .payload = S("{}"),
                        .client_id = str_c(t->client_id),
                        .principal = str_c(t->principal),
                        .source_ip = str_c(t->source_ip),
                        .trace_id = str_c(t->trace_id),
                        .time_ms = real_ms() };
    if (t->payload) {
        Err e = read_file(t, t->payload, &in.payload, why);
        if (e != OK) return e;
    }
    if (t->time && str_to_i64(str_c(t->time), &in.time_ms) != OK) {
        *why = str_format(&t->arena, "--time is in milliseconds since 1970, got '%s'", t->time);
        return ERR_INVALID;
    }
    if (t->user_property) {
        Str value = str_c(t->user_property), name = str_cut(&value, '=');
        Writer w = writer_in(&t->arena);
        mqtt_props_put_user(&w, name, value.ptr ? value : S(""));
        in.properties = writer_str(&w);
    }
    t->message = sql_message_open(&in, &t->arena);
    t->env = (SqlEnv){ .account = str_c(t->account ? t->account : "123456789012"), .rng = &t->rng, .explain = true };
    return OK;
}

/* ---- actions ---- */

/* Writes the parameters with their templates rendered; literal members stay. */
static int render(Trial *t, const ActionKind *kind, Str member, yyjson_val *v, const SqlVariables *variables,
                  yyjson_mut_doc *doc, yyjson_mut_val **out) {
    int status = 0;
    if (yyjson_is_str(v) && !action_is_literal(kind, member)) {
        const SqlTemplate *template;
        SqlFault fault;
        Str text, why;
        if (sql_template_compile(t->sql, json_str(v), &t->arena, &template, &fault) != OK)
            return show_fault(json_str(v), &fault);
        if (sql_template_render(template, t->message, &t->env, variables, &text, &why) != OK)
            return args_fail("%.*s: %.*s", PS(json_str(v)), PS(why));
        *out = json_mut_str(doc, text);
        return 0;
    }
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_mut_val *inner;
    if (yyjson_is_obj(v)) {
        *out = yyjson_mut_obj(doc);
        yyjson_obj_foreach(v, i, n, key, value) {
            if ((status = render(t, kind, json_str(key), value, variables, doc, &inner)) != 0) return status;
            yyjson_mut_obj_add(*out, yyjson_val_mut_copy(doc, key), inner);
        }
    } else if (yyjson_is_arr(v)) {
        *out = yyjson_mut_arr(doc);
        yyjson_arr_foreach(v, i, n, value) {
            if ((status = render(t, kind, member, value, variables, doc, &inner)) != 0) return status;
            yyjson_mut_arr_append(*out, inner);
        }
    } else {
        *out = yyjson_val_mut_copy(doc, v);
    }
    return status;
}

static int show_action(Trial *t, const char *title, yyjson_val *action, const SqlVariables *variables) {
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(action, i, n, key, value) {
        yyjson_mut_doc *doc = json_doc(&t->arena);
        yyjson_mut_val *rendered = NULL;
        const ActionKind *kind = action_kind(json_str(key));
        if (!kind) return args_fail("there is no %.*s action", PS(json_str(key)));
        int status = render(t, kind, STR_NONE, value, variables, doc, &rendered);
        if (status != 0) return status;
        printf("%s %.*s: %.*s\n", title, PS(json_str(key)), PS(json_write_mut(&t->arena, rendered)));
    }
    return 0;
}

static int show_actions(Trial *t, const SqlVariables *variables) {
    size_t i, n;
    yyjson_val *action;
    int status = 0;
    yyjson_arr_foreach(json_get(t->rule_json, S("actions")), i, n, action) {
        if (status == 0) status = show_action(t, "action", action, variables);
    }
    yyjson_val *error_action = json_get(t->rule_json, S("errorAction"));
    if (status == 0 && error_action) status = show_action(t, "error action", error_action, variables);
    return status;
}

/* ---- the command ---- */

static bool from_matches(const Trial *t) {
    Str filter = sql_topic_filter(t->sql), topic = str_c(t->topic);
    return !filter.ptr || !topic.ptr || str_starts(topic, S("$aws/rules/")) || mqtt_topic_matches(filter, topic);
}

static int try_it(Trial *t) {
    SqlResult r;
    if (!from_matches(t)) {
        fprintf(stderr, "the rule does not run: %s does not match FROM '%.*s'\n", t->topic,
                PS(sql_topic_filter(t->sql)));
        return NO_MATCH;
    }
    Err e = sql_run(t->sql, t->message, &t->env, &r);
    show_undefined(&r);
    if (e != OK) return args_fail("the rule fails: %.*s", PS(r.why));
    if (!r.matched) {
        fputs("the actions do not run: WHERE is not true\n", stderr);
        return NO_MATCH;
    }
    fwrite(r.output.ptr, 1, r.output.len, stdout);
    if (!r.binary) fputc('\n', stdout);
    return t->rule_json ? show_actions(t, r.variables) : 0;
}

static Err load_rule(Trial *t, Str *version, Str *why) {
    if (!t->rule) return OK;
    Err e = read_json(t, t->rule, &t->rule_json, why);
    if (e != OK) return e;
    yyjson_val *inner = json_get(t->rule_json, S("topicRulePayload"));
    if (inner) t->rule_json = inner;
    t->statement = json_str(json_get(t->rule_json, S("sql")));
    *version = json_str(json_get(t->rule_json, S("awsIotSqlVersion")));
    if (t->statement.ptr) return OK;
    *why = str_format(&t->arena, "%s has no member 'sql'", t->rule);
    return ERR_INVALID;
}

static int run(Trial *t) {
    Str why, version_text = S("2016-03-23");
    SqlVersion version;
    SqlFault fault;
    Err e = load_rule(t, &version_text, &why);
    if (e == OK && t->answers) e = read_json(t, t->answers, &t->answers_json, &why);
    if (e == OK) e = open_message(t, &why);
    if (e != OK) return args_fail("%.*s", PS(why));
    if (t->version) version_text = str_c(t->version);
    if (sql_version_parse(version_text, &version) != OK) {
        static const char TEXT[] = "there is no SQL version '%.*s'; they are 2015-10-08, 2016-03-23 and beta";
        return t->version ? args_wrong(USAGE, TEXT, PS(version_text)) : args_fail(TEXT, PS(version_text));
    }
    if (sql_compile(t->statement, version, &t->arena, &t->sql, &fault) != OK) return show_fault(t->statement, &fault);
    SqlOutside outside = { .ctx = t, .call = answer };
    t->env.outside = &outside;
    return try_it(t);
}

int command_sql(int argc, char **argv) {
    Trial t = { .topic = NULL };
    const Option options[] = {
        { "--topic", &t.topic, NULL },         { "--payload", &t.payload, NULL },
        { "--rule", &t.rule, NULL },           { "--version", &t.version, NULL },
        { "--answers", &t.answers, NULL },     { "--client-id", &t.client_id, NULL },
        { "--principal", &t.principal, NULL }, { "--source-ip", &t.source_ip, NULL },
        { "--account", &t.account, NULL },     { "--trace-id", &t.trace_id, NULL },
        { "--time", &t.time, NULL },           { "--user-property", &t.user_property, NULL },
    };
    int status, n = args_take(argc, argv, options, sizeof options / sizeof *options, USAGE, &status);
    if (n < 0) return status;
    if (n != (t.rule ? 0 : 1)) return args_wrong(USAGE, "sql needs a statement, or --rule FILE");
    if (!t.rule) t.statement = str_c(argv[1]);
    status = run(&t);
    arena_free(&t.arena);
    return status;
}
