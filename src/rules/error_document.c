#include "rules/error_document.h"

#include "base/encode.h"
#include "base/json.h"

static ActionBatch batch_of(const Part *p) {
    const ActionKind *k = p->plan->kind;
    ActionBatch none = { 0 };
    return p->failed && p->item.action && k->batch ? k->batch(p->item.action) : none;
}

/* What identifies the message: of the document itself, or of an entry for the ids that its failures name. */
static void put_message(yyjson_mut_doc *d, yyjson_mut_val *o, const SqlMessageIn *in, Arena *arena) {
    json_add_str(d, o, S("cloudwatchTraceId"), in->trace_id);
    json_add_str(d, o, S("clientId"), in->client_id.ptr ? in->client_id : S("N/A"));
    if (in->source_ip.ptr) json_add_str(d, o, S("sourceIp"), in->source_ip);
    json_add_str(d, o, S("base64OriginalPayload"), base64_encode(arena, in->payload));
}

static void put_entries(yyjson_mut_doc *d, yyjson_mut_val *o, const ErrorOf *of, size_t n, bool topics, Arena *arena) {
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, o, "payloadsWithMetadata");
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_int(d, entry, "id", (int64_t)i + 1);
        if (topics) json_add_str(d, entry, S("topic"), of[i].in->topic);
        put_message(d, entry, of[i].in, arena);
    }
}

static bool is_same(const Part *a, const Part *b) {
    return a->plan == b->plan && strcmp(a->why, b->why) == 0 && strcmp(a->resource, b->resource) == 0;
}

/* Whether a message before the i-th failed in the same way: it is told of there. */
static bool told_before(const ErrorOf *of, size_t i, const Part *p) {
    for (size_t m = 0; m < i; m++)
        for (size_t k = 0; k < of[m].parts_n; k++)
            if (of[m].parts[k].failed && is_same(&of[m].parts[k], p)) return true;
    return false;
}

static void put_ids(yyjson_mut_doc *d, yyjson_mut_val *f, const ErrorOf *of, size_t n, size_t first, const Part *p) {
    yyjson_mut_val *ids = yyjson_mut_obj_add_arr(d, f, "affectedIds");
    for (size_t m = first; m < n; m++)
        for (size_t k = 0; k < of[m].parts_n; k++)
            if (of[m].parts[k].failed && is_same(&of[m].parts[k], p)) {
                yyjson_mut_arr_add_int(d, ids, (int64_t)m + 1);
                break;
            }
}

Str error_document(Str rule_name, const ErrorOf *of, size_t n, Arena *arena) {
    yyjson_mut_doc *d = json_doc(arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *list = yyjson_mut_arr(d);
    bool batched = n > 1, topics = false;
    for (size_t i = 0; i < of[0].parts_n; i++) {
        ActionBatch b = batch_of(&of[0].parts[i]);
        batched |= b.n_max > 1 && !b.quiet;
        topics |= b.n_max > 1 && !b.quiet && b.across_topics;
    }
    json_add_str(d, o, S("ruleName"), rule_name);
    if (!topics) json_add_str(d, o, S("topic"), of[0].in->topic);
    if (batched)
        put_entries(d, o, of, n, topics, arena);
    else
        put_message(d, o, of[0].in, arena);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < of[i].parts_n; k++) {
            const Part *p = &of[i].parts[k];
            if (!p->failed || (batched && told_before(of, i, p))) continue;
            yyjson_mut_val *f = yyjson_mut_arr_add_obj(d, list);
            if (batched) put_ids(d, f, of, n, i, p);
            json_add_str(d, f, S("failedAction"), p->plan->kind->failed);
            json_add_str(d, f, S("failedResource"), str_c(p->resource));
            json_add_str(d, f, S("errorMessage"), str_c(p->why));
        }
    yyjson_mut_obj_add(o, json_mut_str(d, S("failures")), list);
    return json_write_mut(arena, o);
}
