/* Most operations name their resource in their path: /things/{thingName}/… is thing/NAME for all of them. So one small
 * table maps path prefixes to kinds of resources, and a second one holds what differs: resources in the body, two
 * resources, other actions. What neither knows is asked for on "*", which only policies that allow everything grant.
 * Source: AWS IoT developer guide, "How AWS IoT works with IAM" (table of actions and resources); service
 * authorization reference, AWS IoT; reserved words of refusals: aws-sdk-android #640, aws-connected-device-framework
 * #36 (User: …), aws-iot-device-sdk-js #70 (Forbidden). */
#include "identity/authorize.h"

#include <time.h>

#include "api/error.h"
#include "base/writer.h"

enum { RESOURCES_MAX = 2, REQUEST_VARS_MAX = 8 };

/* Templates: {member} is its value; {member?} the value with a '/' before it when it is there; a template that is
 * "=" and a member takes its value as the whole ARN, STR "*" is itself. */
typedef struct {
    Str op;
    Str resources[RESOURCES_MAX];
} OpRule;

static const OpRule OPS[] = {
    { STR_INIT("AddThingToBillingGroup"),
      { STR_INIT("billinggroup/{billingGroupName}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("AddThingToThingGroup"), { STR_INIT("thinggroup/{thingGroupName}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("AttachPolicy"), { STR_INIT("={target}") } },
    { STR_INIT("AttachPrincipalPolicy"), { STR_INIT("={principal}") } },
    { STR_INIT("AttachThingPrincipal"), { STR_INIT("={principal}") } },
    { STR_INIT("CancelJobExecution"), { STR_INIT("job/{jobId}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("CreateProvisioningTemplate"), { STR_INIT("provisioningtemplate/{templateName}") } },
    { STR_INIT("DeleteJobExecution"), { STR_INIT("job/{jobId}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("DeleteThingShadow"), { STR_INIT("thing/{thingName}{shadowName?}") } },
    { STR_INIT("DescribeIndex"), { STR_INIT("index/{indexName}") } },
    { STR_INIT("DescribeJobExecution"), { STR_INIT("job/{jobId}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("DetachPolicy"), { STR_INIT("={target}") } },
    { STR_INIT("DetachPrincipalPolicy"), { STR_INIT("={principal}") } },
    { STR_INIT("DetachThingPrincipal"), { STR_INIT("={principal}") } },
    { STR_INIT("GetEffectivePolicies"), { STR_INIT("={principal}") } },
    { STR_INIT("GetThingShadow"), { STR_INIT("thing/{thingName}{shadowName?}") } },
    { STR_INIT("ListAttachedPolicies"), { STR_INIT("={target}") } },
    { STR_INIT("ListCertificatesByCA"), { STR_INIT("*") } },
    { STR_INIT("ListNamedShadowsForThing"), { STR_INIT("thing/{thingName}") } },
    { STR_INIT("ListPrincipalPolicies"), { STR_INIT("={principal}") } },
    { STR_INIT("ListPrincipalThings"), { STR_INIT("={principal}") } },
    { STR_INIT("ListPrincipalThingsV2"), { STR_INIT("={principal}") } },
    { STR_INIT("ListTagsForResource"), { STR_INIT("={resourceArn}") } },
    { STR_INIT("RemoveThingFromBillingGroup"),
      { STR_INIT("billinggroup/{billingGroupName}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("RemoveThingFromThingGroup"),
      { STR_INIT("thinggroup/{thingGroupName}"), STR_INIT("thing/{thingName}") } },
    { STR_INIT("SearchIndex"), { STR_INIT("index/{indexName}") } },
    { STR_INIT("SetDefaultAuthorizer"), { STR_INIT("authorizer/{authorizerName}") } },
    { STR_INIT("TagResource"), { STR_INIT("={resourceArn}") } },
    { STR_INIT("TestAuthorization"), { STR_INIT("={principal}") } },
    { STR_INIT("UntagResource"), { STR_INIT("={resourceArn}") } },
    { STR_INIT("UpdateThingGroupsForThing"), { STR_INIT("thing/{thingName}") } },
    { STR_INIT("UpdateThingShadow"), { STR_INIT("thing/{thingName}{shadowName?}") } },
};

/* What stands in a path, up to its first label, and the resource that this label names. The jobs data plane's path
 * names two, of which its actions go by the thing, the first. */
typedef struct {
    Str path, resource; /* the label's value follows the resource */
} PathRule;

static const PathRule PATHS[] = {
    { STR_INIT("/accept-certificate-transfer/{"), STR_INIT("cert/") },
    { STR_INIT("/audit/scheduledaudits/{"), STR_INIT("scheduledaudit/") },
    { STR_INIT("/authorizer/{"), STR_INIT("authorizer/") },
    { STR_INIT("/billing-groups/{"), STR_INIT("billinggroup/") },
    { STR_INIT("/cacertificate/{"), STR_INIT("cacert/") },
    { STR_INIT("/cancel-certificate-transfer/{"), STR_INIT("cert/") },
    { STR_INIT("/certificate-providers/{"), STR_INIT("certificateprovider:") },
    { STR_INIT("/certificates/{"), STR_INIT("cert/") },
    { STR_INIT("/commands/{"), STR_INIT("command/") },
    { STR_INIT("/connections/{"), STR_INIT("client/") },
    { STR_INIT("/custom-metric/{"), STR_INIT("custommetric/") },
    { STR_INIT("/dimensions/{"), STR_INIT("dimension/") },
    { STR_INIT("/domainConfigurations/{"), STR_INIT("domainconfiguration/") },
    { STR_INIT("/dynamic-thing-groups/{"), STR_INIT("dynamicthinggroup/") },
    { STR_INIT("/fleet-metric/{"), STR_INIT("fleetmetric/") },
    { STR_INIT("/job-templates/{"), STR_INIT("jobtemplate/") },
    { STR_INIT("/jobs/{"), STR_INIT("job/") },
    { STR_INIT("/mitigationactions/actions/{"), STR_INIT("mitigationaction/") },
    { STR_INIT("/otaUpdates/{"), STR_INIT("otaupdate/") },
    { STR_INIT("/packages/{"), STR_INIT("package/") },
    { STR_INIT("/policies/{"), STR_INIT("policy/") },
    { STR_INIT("/policy-targets/{"), STR_INIT("policy/") },
    { STR_INIT("/provisioning-templates/{"), STR_INIT("provisioningtemplate/") },
    { STR_INIT("/reject-certificate-transfer/{"), STR_INIT("cert/") },
    { STR_INIT("/retainedMessage/{"), STR_INIT("topic/") },
    { STR_INIT("/role-aliases/{"), STR_INIT("rolealias/") },
    { STR_INIT("/rules/{"), STR_INIT("rule/") },
    { STR_INIT("/security-profiles/{"), STR_INIT("securityprofile/") },
    { STR_INIT("/streams/{"), STR_INIT("stream/") },
    { STR_INIT("/thing-groups/{"), STR_INIT("thinggroup/") },
    { STR_INIT("/thing-types/{"), STR_INIT("thingtype/") },
    { STR_INIT("/things/{"), STR_INIT("thing/") },
    { STR_INIT("/topics/{"), STR_INIT("topic/") },
    { STR_INIT("/transfer-certificate/{"), STR_INIT("cert/") },
};

static const ApiError FORBIDDEN = { STR_INIT("ForbiddenException"), 403, STR_INIT("message"), NULL, 0 };

static const ApiMember *member(const ApiOp *op, Str name) {
    for (size_t i = 0; op->in && i < op->in->members_n; i++)
        if (str_eq_nocase(op->in->members[i].name, name)) return &op->in->members[i];
    return NULL;
}

/* The text of a string member; STR_NONE where there is no such member or no value. */
static Str text_of(const ApiOp *op, const void *in, Str name) {
    const ApiMember *m = member(op, name);
    if (!m || !in || (m->shape->kind != API_STR && m->shape->kind != API_ENUM)) return STR_NONE;
    return *(const Str *)((const char *)in + m->offset);
}

static bool flag_of(const ApiOp *op, const void *in, Str name) {
    const ApiMember *m = member(op, name);
    if (!m || !in || m->shape->kind != API_BOOL) return false;
    const OptBool *b = (const OptBool *)((const char *)in + m->offset);
    return b->set && b->v;
}

static Str resource_arn(Call *c, const ApiOp *op, const void *in, Str template) {
    if (str_eq(template, S("*"))) return template;
    if (template.ptr[0] == '=') {
        Str value = text_of(op, in, str_sub(template, 2, template.len - 1));
        return value.len ? value : S("*");
    }
    Writer w = writer_in(c->arena);
    for (Str rest = template; rest.ptr;) {
        writer_bytes(&w, str_cut(&rest, '{'));
        if (!rest.ptr) break;
        Str name = str_cut(&rest, '}');
        bool optional = str_ends(name, S("?"));
        Str value = text_of(op, in, str_sub(name, 0, name.len - optional));
        if (optional && value.len) writer_u8(&w, '/');
        writer_bytes(&w, value);
        if (!rest.len) break;
    }
    return call_arn(c, "iot", "%.*s", PS(writer_str(&w)));
}

/* Source: service authorization reference, "Actions, resources, and condition keys for AWS Lambda" */
static Str function_resource(Call *c, const ApiOp *op, const void *in) {
    Str name = text_of(op, in, S("FunctionName"));
    if (!name.len) name = text_of(op, in, S("Resource"));
    if (!name.len) return S("*");
    if (str_starts(name, S("arn:"))) return name;
    size_t at = str_find_str(name, S("function:"));
    if (at != SIZE_MAX) name = str_from(name, at + 9);
    Str qualifier = text_of(op, in, S("Qualifier"));
    return call_arn(c, "lambda", "function:%.*s%s%.*s", PS(name), qualifier.len ? ":" : "", PS(qualifier));
}

static Str path_resource(Call *c, const ApiOp *op, const void *in) {
    if (str_eq(op->service->name, S("lambda"))) return function_resource(c, op, in);
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        if (!str_starts(op->path, PATHS[i].path)) continue;
        Str rest = str_from(op->path, PATHS[i].path.len);
        Str name = str_cut(&rest, '}');
        if (str_ends(name, S("+"))) name.len--;
        return call_arn(c, "iot", "%.*s%.*s", PS(PATHS[i].resource), PS(text_of(op, in, name)));
    }
    return S("*");
}

static void add_var(AuthorizeNeed *need, Call *c, Str name, Str value) {
    Str *values = arena_new(c->arena, Str);
    *values = value;
    need->vars[need->vars_n++] = (PolicyVar){ name, values, 1 };
}

AuthorizeNeed authorize_need(Call *c, const ApiOp *op, const void *in) {
    bool jobs_data = str_eq(op->service->name, S("iot-jobs-data"));
    bool data = str_eq(op->service->name, S("iot-data"));
    bool invoke = str_eq(op->service->name, S("lambda")) && str_starts(op->name, S("Invoke"));
    Str name = invoke ? S("InvokeFunction") : op->name;
    AuthorizeNeed need = { .action = str_format(c->arena, "%.*s:%.*s", PS(op->service->action), PS(name)) };
    Str *resources = arena_array(c->arena, Str, RESOURCES_MAX);
    bool listed = !jobs_data && !str_eq(op->service->name, S("lambda"));
    for (size_t i = 0; listed && i < sizeof OPS / sizeof *OPS; i++)
        if (str_eq(OPS[i].op, op->name))
            for (size_t k = 0; k < RESOURCES_MAX && OPS[i].resources[k].ptr; k++)
                resources[need.resources_n++] = resource_arn(c, op, in, OPS[i].resources[k]);
    if (need.resources_n == 0) resources[need.resources_n++] = path_resource(c, op, in);
    need.resources = resources;
    need.tags = authorize_request_tags(c, op, in);
    if (data && str_eq(op->name, S("Publish")) && flag_of(op, in, S("retain")))
        need.second_action = S("iot:RetainPublish");
    if (data && str_eq(op->name, S("SendDirectMessage")))
        add_var(&need, c, S("iot:Topic"), text_of(op, in, S("topic")));
    if (data && str_eq(op->name, S("GetConnection")))
        add_var(&need, c, S("iot:IncludeSocketInformation"),
                flag_of(op, in, S("includeSocketInformation")) ? S("true") : S("false"));
    return need;
}

/* The keys that every request has. Source: IAM user guide, "AWS global condition context keys". */
static size_t request_vars(Call *c, PolicyVar *out) {
    time_t t = (time_t)(c->now_ms / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&t, &tm);
    Str now = str_dup(c->arena, (Str){ (uint8_t *)text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) });
    const PolicyVar vars[] = {
        { S("aws:SourceIp"), &c->source_ip, 1 }, { S("aws:RequestedRegion"), &c->region, 1 },
        { S("aws:CurrentTime"), NULL, 1 },       { S("aws:EpochTime"), NULL, 1 },
        { S("aws:SecureTransport"), NULL, 1 },
    };
    Str *values = arena_array(c->arena, Str, 3);
    values[0] = now;
    values[1] = str_format(c->arena, "%lld", (long long)t);
    values[2] = S("true");
    size_t n = sizeof vars / sizeof *vars;
    memcpy(out, vars, sizeof vars);
    for (size_t i = 0; i < 3; i++) out[n - 3 + i].values = &values[i];
    return n;
}

static Err refuse(Call *c, const ApiError *error, Str action, Str resource, PolicyDecision decision) {
    bool iam = c->principal->kind == PRINCIPAL_ACCESS_KEY;
    Str why = decision == POLICY_EXPLICIT_DENY
                  ? str_format(c->arena, "with an explicit deny in %s policy", iam ? "an identity-based" : "an IoT")
                  : str_format(c->arena, "because no %s policy allows the %.*s action", iam ? "identity-based" : "IoT",
                               PS(action));
    return api_fail(c, error, "%s%s: %.*s is not authorized to perform: %.*s on resource: %.*s %.*s",
                    error == &FORBIDDEN ? "Forbidden. " : "", iam ? "User" : "Principal", PS(c->principal->arn),
                    PS(action), PS(resource), PS(why));
}

static size_t append(PolicyVar *to, size_t n, const PolicyVar *vars, size_t vars_n) {
    if (vars_n) memcpy(to + n, vars, vars_n * sizeof *vars);
    return n + vars_n;
}

/* What the request gives, then what the resource has. */
static Err decide_on(Call *c, const ApiError *error, const AuthorizeNeed *need, const PolicyBound *bound, Str resource,
                     StrMap resource_tags) {
    TagVars has = authorize_resource_tags(c, resource_tags);
    PolicyVar *vars = arena_array(c->arena, PolicyVar, REQUEST_VARS_MAX + need->vars_n + need->tags.n + has.n);
    size_t n = request_vars(c, vars);
    n = append(vars, n, need->vars, need->vars_n);
    n = append(vars, n, need->tags.vars, need->tags.n);
    n = append(vars, n, has.vars, has.n);
    const Str actions[] = { need->action, need->second_action };
    for (size_t a = 0; a < 2 && actions[a].ptr; a++) {
        PolicyDecision d = policy_decide(bound, actions[a], resource, vars, n, NULL, NULL);
        if (d != POLICY_ALLOWED) return refuse(c, error, actions[a], resource, d);
    }
    return OK;
}

static Err decide_bound(Call *c, const ApiError *error, const AuthorizeNeed *need, const PolicyBound *bound,
                        AuthorizeTags *tags) {
    bool asks = policy_asks(bound, S("aws:ResourceTag/"));
    if (asks && !tags) return ERR_AGAIN;
    for (size_t r = 0; r < need->resources_n; r++) {
        StrMap has = { 0 };
        Err e = asks ? tags(c, need->resources[r], &has) : OK;
        if (e == OK) e = decide_on(c, error, need, bound, need->resources[r], has);
        if (e != OK) return e;
    }
    return OK;
}

static Err decide(Call *c, const ApiError *error, const AuthorizeNeed *need, AuthorizeTags *tags) {
    PrincipalBound bound;
    principal_bind(c->principal, c->principal->vars, c->principal->vars_n, c->arena, &bound);
    Err e = decide_bound(c, error, need, bound.policies, tags);
    principal_unbind(&bound);
    return e;
}

static Err no_tags(Call *c, Str arn, StrMap *out) {
    (void)c;
    (void)arn;
    *out = (StrMap){ 0 };
    return OK;
}

Err api_authorize(Call *c, const ApiOp *op, const void *in, AuthorizeTags *tags) {
    bool data_plane = str_eq(op->service->name, S("iot-data")) || str_eq(op->service->name, S("iot-jobs-data"));
    if (c->principal->kind == PRINCIPAL_SERVICE) return OK;
    /* Source: AWS IoT developer guide, "Authorization": certificates are for the data plane. */
    if (c->principal->kind != PRINCIPAL_ACCESS_KEY && !data_plane)
        return api_fail(c, API_ACCESS_DENIED,
                        "%.*s may not call %.*s: certificates are for the data plane; sign with an access key",
                        PS(c->principal->arn), PS(op->name));
    AuthorizeNeed need = authorize_need(c, op, in);
    return decide(c, data_plane ? &FORBIDDEN : API_ACCESS_DENIED, &need, tags);
}

Err authorize_action(Call *c, Str action, Str resource) {
    if (c->principal->kind == PRINCIPAL_SERVICE) return OK;
    AuthorizeNeed need = { .action = action, .resources = &resource, .resources_n = 1 };
    return decide(c, API_ACCESS_DENIED, &need, no_tags);
}
