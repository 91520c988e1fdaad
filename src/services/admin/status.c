/* What runs, and what it said lately. */
#include "identity/key_ring.h"
#include "services/admin/respond.h"
#include "services/env.h"

enum { FIGURES_MAX = 64 };

Err admin_status(Admin *a) {
    Call *c = a->call;
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    json_add_str(doc, out, S("account"), c->env->account);
    json_add_str(doc, out, S("region"), c->env->region);
    json_add_str(doc, out, S("endpoint"), c->env->endpoint);
    json_add_str(doc, out, S("dataDir"), c->env->data_dir);
    yyjson_mut_obj_add_int(doc, out, "startedMs", a->source->started_ms);
    yyjson_mut_obj_add_int(doc, out, "upMs", real_ms() - a->source->started_ms);
    AdminFigure figures[FIGURES_MAX];
    size_t n = a->source->figures ? a->source->figures(c->env, figures, FIGURES_MAX) : 0;
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    for (size_t i = 0; i < n; i++)
        yyjson_mut_obj_add(o, json_mut_str(doc, str_dup(c->arena, str_c(figures[i].name))),
                           yyjson_mut_sint(doc, figures[i].value));
    yyjson_mut_obj_add(out, json_mut_str(doc, S("figures")), o);
    return admin_answer(a, 200, doc, out);
}

Err admin_logs(Admin *a) {
    Call *c = a->call;
    Str from_text = admin_param(a, S("from"));
    int64_t from = 0;
    if (from_text.ptr && (str_to_i64(from_text, &from) != OK || from < 0))
        return admin_fail(a, 400, "InvalidRequestException", "from is a position of an earlier answer, got '%.*s'",
                          PS(str_sub(from_text, 0, 100)));
    if (!a->source->logs)
        return admin_fail(a, 501, "NotImplementedException", "this server keeps no log lines: read its standard error");
    uint64_t next = 0;
    Str lines = a->source->logs(c->env, (uint64_t)from, c->arena, &next);
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    json_add_str(doc, out, S("lines"), lines);
    yyjson_mut_obj_add_uint(doc, out, "next", next);
    return admin_answer(a, 200, doc, out);
}
