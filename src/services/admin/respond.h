/* What the handlers of admin share: reading JSON and the query, answering. */
#pragma once

#include "base/json.h"
#include "services/admin/admin.h"

/* One request on its way through admin. */
typedef struct {
    Call *call;
    const AdminSource *source;
    const ApiRequest *rq;
    ApiResponse *rs;
    Str id; /* what followed the path's last '/', decoded */
} Admin;

Err admin_answer(Admin *a, int status, yyjson_mut_doc *doc, yyjson_mut_val *body);
/* Fills *rs with {"message": …} and returns ERR_API. */
NODISCARD Err admin_fail(Admin *a, int status, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
/* The body as an object. Errors: ERR_API, answered */
NODISCARD Err admin_body(Admin *a, yyjson_val **out);
Str admin_param(Admin *a, Str name); /* of the query; STR_NONE */
bool admin_may_touch(const Admin *a, Str account);

Err admin_key_create(Admin *a);
Err admin_key_list(Admin *a);
Err admin_key_update(Admin *a);
Err admin_key_delete(Admin *a);
Err admin_policy_explain(Admin *a);
Err admin_status(Admin *a);
Err admin_logs(Admin *a);
