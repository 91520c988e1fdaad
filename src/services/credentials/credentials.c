/* Two decisions: the certificate's IoT policies let it have the alias (iot:AssumeRoleWithCertificate), and the role
 * lets the credentials provider have it. What the keys may do is then the role's business. The certificate's record is
 * locked: who revokes it meanwhile and this cannot both succeed without seeing the other. */
#include "services/credentials/credentials.h"

#include "api/timestamp.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "generated/iot_records.h"
#include "identity/connection_vars.h"
#include "identity/key_ring.h"
#include "identity/temporary_key.h"
#include "services/env.h"

#define BEGIN S("/role-aliases/")
#define END S("/credentials")
#define SERVICE S("credentials.iot.amazonaws.com")

bool credentials_asked(const ApiRequest *rq) {
    return str_eq(rq->method, S("GET")) && str_starts(rq->path, BEGIN) && str_ends(rq->path, END) &&
           rq->path.len > BEGIN.len + END.len;
}

static void answer(Call *c, int status, yyjson_mut_val *body, ApiResponse *rs) {
    *rs = (ApiResponse){ .status = status, .body = json_write_mut(c->arena, body) };
    rs->headers[rs->headers_n++] = (HttpHeader){ S("Content-Type"), S("application/json") };
    rs->headers[rs->headers_n++] = (HttpHeader){ S("x-amzn-RequestId"), c->request_id };
}

/* Source: {"message":"Access Denied"}, as device SDKs and Greengrass log it */
static Err refuse(Call *c, int status, Str message, ApiResponse *rs) {
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *body = yyjson_mut_obj(doc);
    json_add_str(doc, body, S("message"), message);
    answer(c, status, body, rs);
    return ERR_API;
}

static const PrincipalThing *thing_of(const Principal *p, Str name) {
    for (size_t i = 0; i < p->things_n; i++)
        if (str_eq(p->things[i].name, name)) return &p->things[i];
    return NULL;
}

static bool alias_allowed(Call *c, Str alias, const PrincipalThing *thing) {
    const ConnectionFacts facts = { .client_id = thing ? thing->name : STR_NONE,
                                    .source_ip = c->source_ip,
                                    .secure = S("true") };
    const PolicyVar *vars;
    size_t n;
    PrincipalBound bound;
    connection_vars(c->principal, &facts, c->arena, &vars, &n);
    principal_bind(c->principal, vars, n, c->arena, &bound);
    Str arn = call_arn(c, "iot", "rolealias/%.*s", PS(alias));
    Moment moment;
    PolicyVar now[MOMENT_VARS];
    moment_vars(c->now_ms, &moment, now);
    PolicyDecision d =
        policy_decide(bound.policies, S("iot:AssumeRoleWithCertificate"), arn, now, MOMENT_VARS, NULL, NULL);
    principal_unbind(&bound);
    return d == POLICY_ALLOWED;
}

/* Source: the guide's list of policy variables, for the role's policies alone */
static StrMap session_vars(Call *c, const PrincipalThing *thing) {
    StrPair *items = arena_array(c->arena, StrPair, 3);
    size_t n = 0;
    items[n++] = (StrPair){ S("credentials-iot:AwsCertificateId"), c->principal->id };
    if (thing) items[n++] = (StrPair){ S("credentials-iot:ThingName"), thing->name };
    if (thing && thing->type_name.ptr) items[n++] = (StrPair){ S("credentials-iot:ThingTypeName"), thing->type_name };
    return (StrMap){ items, n, true };
}

static void key_counts(Env *env, void *arg) {
    const Str *id = arg;
    keyring_changed(env->keys, *id);
}

static Err issue(Call *c, const RoleAliasRecord *alias, const RoleRecord *role, const PrincipalThing *thing,
                 ApiResponse *rs) {
    AccessKey key;
    int64_t seconds = alias->credential_duration_seconds;
    if (seconds > role->session_s_max) seconds = role->session_s_max;
    Err e = temporary_key_issue(c->txn,
                                &(TemporaryKeySpec){ .account = c->account,
                                                     .role = role,
                                                     .session = c->principal->id,
                                                     .seconds = seconds,
                                                     .certificate_id = c->principal->id,
                                                     .vars = session_vars(c, thing) },
                                real_ms(), c->rng, c->arena, &key);
    if (e != OK) return e;
    Str *id = arena_new(c->arena, Str);
    *id = key.id;
    call_after(c, key_counts, id);
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *body = yyjson_mut_obj(doc), *in = yyjson_mut_obj_add_obj(doc, body, "credentials");
    json_add_str(doc, in, S("accessKeyId"), key.id);
    json_add_str(doc, in, S("secretAccessKey"), key.secret);
    json_add_str(doc, in, S("sessionToken"), key.session_token);
    json_add_str(doc, in, S("expiration"), timestamp_iso8601(c->arena, key.expires_ms));
    answer(c, 200, body, rs);
    return OK;
}

/* The certificate as the store has it now. Errors: ERR_DENIED */
static Err check_certificate(Call *c) {
    CertificateRecord r;
    Err e = certificate_record_get(c->txn, call_tenant(c), c->principal->id, c->arena, &r);
    if (e == ERR_NOT_FOUND || (e == OK && !str_eq(r.status, S("ACTIVE")))) return ERR_DENIED;
    return e == OK ? certificate_record_lock(c->txn, call_tenant(c), c->principal->id) : e;
}

Err credentials_handle(Call *c, const ApiRequest *rq, ApiResponse *rs) {
    Str alias, name = http_header(rq->headers, rq->headers_n, S("x-amzn-iot-thingname"));
    RoleAliasRecord record;
    RoleRecord role;
    if (percent_decode(c->arena, str_sub(rq->path, BEGIN.len, rq->path.len - END.len), false, &alias) != OK)
        return refuse(c, 400, S("Invalid role alias name passed"), rs);
    const PrincipalThing *thing = name.len ? thing_of(c->principal, name) : NULL;
    if (name.len && !thing) return refuse(c, 403, S("Invalid thing name passed"), rs);
    if (!alias_allowed(c, alias, thing)) return refuse(c, 403, S("Access Denied"), rs);
    Err e = check_certificate(c);
    if (e == ERR_DENIED) return refuse(c, 403, S("Access Denied"), rs);
    if (e == OK) e = role_alias_record_get(c->txn, call_tenant(c), alias, c->arena, &record);
    if (e == ERR_NOT_FOUND)
        return refuse(c, 404, str_format(c->arena, "Role alias not found: %.*s", PS(str_sub(alias, 0, 128))), rs);
    if (e == OK) e = role_of_arn(c->txn, c->account, record.role_arn, c->arena, &role);
    if (e == ERR_NOT_FOUND)
        return refuse(
            c, 403,
            str_format(c->arena, "Access Denied: the alias' role %.*s does not exist here", PS(record.role_arn)), rs);
    StrMap vars = session_vars(c, thing);
    PolicyVar trust_vars[3];
    for (size_t i = 0; i < vars.n; i++) trust_vars[i] = (PolicyVar){ vars.items[i].key, &vars.items[i].value, 1 };
    if (e == OK)
        e = role_trusts(&role, &(RoleTaker){ .service = SERVICE, .vars = trust_vars, .vars_n = vars.n }, c->arena);
    if (e == ERR_DENIED)
        return refuse(c, 403,
                      str_format(c->arena,
                                 "Access Denied: the trust policy of %.*s does not name "
                                 "credentials.iot.amazonaws.com",
                                 PS(record.role_arn)),
                      rs);
    return e == OK ? issue(c, &record, &role, thing, rs) : e;
}
