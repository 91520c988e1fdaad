/* Domain configurations: what is particular to them. An account has four of its own from the beginning, its endpoints,
 * which can be changed and neither disabled nor deleted; the others have a host name that no other configuration of the
 * server has. What a configuration says is what the gateway does (identity/domain_book.h): what is not done here
 * (OCSP, a callback for client certificates) is refused.
 * Source: AWS IoT developer guide, "Connecting devices to AWS IoT using domain configurations" */
#include "api/error.h"
#include "base/clock.h"
#include "base/json.h"
#include "generated/iot.h"
#include "generated/iot_resources.h"
#include "identity/domain_book.h"
#include "identity/endpoint.h"
#include "identity/server_certificate.h"
#include "services/env.h"

#define ENDPOINT S("ENDPOINT")
#define DEFAULT S("DEFAULT")
#define DAY_MS INT64_C(86400000)
enum { MANAGED_DISABLED_DAYS = 7 };

static Tenant shared(const Call *c) {
    return (Tenant){ S("*"), c->region };
}

static Str new_suffix(Call *c) {
    static const char BASE36[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint8_t random[5], *text = arena_bytes(c->arena, sizeof random);
    rng_fill(c->rng, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) text[i] = (uint8_t)BASE36[random[i] % 36];
    return (Str){ text, sizeof random };
}

/* ------------------------------------------------------------------------------------------------ an account's own */

static const struct {
    Str name, service_type;
} ENDPOINTS[] = {
    { STR_INIT("iot:CredentialProvider"), STR_INIT("CREDENTIAL_PROVIDER") },
    { STR_INIT("iot:Data"), STR_INIT("DATA") },
    { STR_INIT("iot:Data-ATS"), STR_INIT("DATA") },
    { STR_INIT("iot:Jobs"), STR_INIT("JOBS") },
};

Err iot_domain_configuration_before(Call *c) {
    DomainConfigurationRecord had;
    Err e = domain_configuration_record_peek(c->txn, call_tenant(c), ENDPOINTS[0].name, c->arena, &had);
    if (e != ERR_NOT_FOUND) return e;
    e = OK;
    for (size_t i = 0; e == OK && i < sizeof ENDPOINTS / sizeof *ENDPOINTS; i++)
        e = domain_configuration_record_put(
            c->txn, call_tenant(c),
            &(DomainConfigurationRecord){ .domain_configuration_name = ENDPOINTS[i].name,
                                          .suffix = new_suffix(c),
                                          .service_type = ENDPOINTS[i].service_type,
                                          .authentication_type = DEFAULT,
                                          .application_protocol = DEFAULT,
                                          .domain_configuration_status = S("ENABLED"),
                                          .domain_type = ENDPOINT,
                                          .last_status_change_ms = c->now_ms,
                                          .created_ms = c->now_ms,
                                          .modified_ms = c->now_ms });
    return e;
}

/* ------------------------------------------------------------------------------------------------ what may be said */

static Str json_member(Call *c, Str json, Str member) {
    yyjson_val *v;
    if (!json.len || json_read(c->arena, json, false, &v, NULL) != OK) return STR_NONE;
    return json_str(json_get(v, member));
}

static Err check_tls(Call *c, const DomainConfigurationRecord *r) {
    const char *min, *max;
    Str policy = json_member(c, r->tls_config, S("securityPolicy"));
    if (!policy.len || domain_tls_versions(policy, &min, &max) == OK) return OK;
    return api_fail(c, IOT_INVALID_REQUEST,
                    "Security policy '%.*s' is not one of IoTSecurityPolicy_TLS13_1_3_2022_10, "
                    "IoTSecurityPolicy_TLS13_1_2_2022_10, IoTSecurityPolicy_TLS12_1_2_2022_10, "
                    "IoTSecurityPolicy_TLS12_1_0_2016_01 and IoTSecurityPolicy_TLS12_1_0_2015_01",
                    PS(policy));
}

/* Source: the guide's table of authentication types and application protocols */
static Err check_ways(Call *c, const DomainConfigurationRecord *r) {
    static const struct {
        Str type, protocols;
    } ALL[] = {
        { STR_INIT("DEFAULT"), STR_INIT("DEFAULT") },
        { STR_INIT("AWS_X509"), STR_INIT("SECURE_MQTT HTTPS") },
        { STR_INIT("CUSTOM_AUTH_X509"), STR_INIT("SECURE_MQTT HTTPS") },
        { STR_INIT("AWS_SIGV4"), STR_INIT("MQTT_WSS HTTPS") },
        { STR_INIT("CUSTOM_AUTH"), STR_INIT("SECURE_MQTT MQTT_WSS HTTPS") },
    };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        if (!str_eq(r->authentication_type, ALL[i].type)) continue;
        for (Str rest = ALL[i].protocols; rest.ptr;)
            if (str_eq(str_cut(&rest, ' '), r->application_protocol)) return OK;
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Application protocol %.*s does not go with authentication type %.*s: %.*s do",
                        PS(r->application_protocol), PS(r->authentication_type), PS(ALL[i].protocols));
    }
    return api_fail(c, IOT_INVALID_REQUEST, "Unknown authentication type %.*s", PS(r->authentication_type));
}

static Err check_authorizer(Call *c, const DomainConfigurationRecord *r) {
    bool custom = str_starts(r->authentication_type, S("CUSTOM_AUTH"));
    bool named = json_member(c, r->authorizer_config, S("defaultAuthorizerName")).len > 0;
    bool fixed = str_starts(r->authentication_type, S("AWS_"));
    if (custom && !named)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "authorizerConfig with a defaultAuthorizerName is needed where authenticationType is %.*s",
                        PS(r->authentication_type));
    if (fixed && named)
        return api_fail(c, IOT_INVALID_REQUEST, "authorizerConfig has no use where authenticationType is %.*s",
                        PS(r->authentication_type));
    return OK;
}

static Err check_there(Call *c, const IotServerCertificateConfig *server, const IotClientCertificateConfig *client) {
    if (server && (server->enable_ocsp_check.v || server->ocsp_lambda_arn.len))
        return api_fail(c, API_NOT_IMPLEMENTED,
                        "serverCertificateConfig is not implemented yet: no OCSP "
                        "response is stapled");
    if (client && client->client_certificate_callback_arn.len)
        return api_fail(c, API_NOT_IMPLEMENTED,
                        "clientCertificateConfig is not implemented yet: no function is "
                        "asked about client certificates");
    return OK;
}

static Err check_said(Call *c, const DomainConfigurationRecord *r) {
    Err e = check_tls(c, r);
    if (e == OK) e = check_ways(c, r);
    if (e == OK) e = check_authorizer(c, r);
    return e;
}

/* ------------------------------------------------------------------------------------------------ certificates */

static Err acm_certificate(Call *c, Str arn, AcmCertificateRecord *out) {
    Str begin = call_arn(c, "acm", "certificate/");
    Err e = ERR_NOT_FOUND;
    if (str_starts(arn, begin))
        e = acm_certificate_record_get(c->txn, call_tenant(c), str_from(arn, begin.len), c->arena, out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, IOT_CERTIFICATE_VALIDATION,
                    "There is no certificate %.*s: `aws acm import-certificate` brings one", PS(arn));
}

/* Shape: *wrong STR_NONE: it is good for the host */
static void judge(const AcmCertificateRecord *r, Str host, Arena *arena, Str *wrong) {
    ServerCertificate info;
    *wrong = STR_NONE;
    if (server_certificate_read(r->certificate_pem, r->chain_pem, r->key_pem, arena, &info, wrong) != OK) return;
    if (info.not_after_ms < real_ms() || info.not_before_ms > real_ms())
        *wrong = S("The certificate is not within its dates");
    else if (!info.for_servers)
        *wrong = S("The certificate's extended key usage does not have serverAuth");
    else if (!server_certificate_covers(&info, host))
        *wrong = str_format(arena, "The certificate does not cover the domain name %.*s", PS(host));
}

static Err check_certificate(Call *c, const DomainConfigurationRecord *r) {
    AcmCertificateRecord acm;
    Str wrong;
    Err e = OK;
    if (r->validation_certificate_arn.len) e = acm_certificate(c, r->validation_certificate_arn, &acm);
    if (e == OK) e = acm_certificate(c, r->server_certificate_arns.items[0], &acm);
    if (e == OK) e = acm_certificate_record_lock(c->txn, call_tenant(c), acm.certificate_id); /* against its deletion */
    if (e != OK) return e;
    judge(&acm, r->domain_name, c->arena, &wrong);
    return wrong.ptr ? api_fail(c, IOT_CERTIFICATE_VALIDATION, "%.*s", PS(wrong)) : OK;
}

/* ------------------------------------------------------------------------------------------------ hooks */

/* Letters, digits, '-' and dots, at least one dot, no label empty or longer than 63. Source: RFC 1035 */
static bool is_host(Str host) {
    size_t label = 0, dots = 0;
    if (host.len > 253) return false;
    for (size_t i = 0; i < host.len; i++) {
        uint8_t ch = host.ptr[i] | 0x20;
        if (host.ptr[i] == '.') {
            if (!label) return false;
            dots++;
            label = 0;
            continue;
        }
        if (!((ch >= 'a' && ch <= 'z') || (host.ptr[i] >= '0' && host.ptr[i] <= '9') || host.ptr[i] == '-'))
            return false;
        if (++label > 63) return false;
    }
    return label > 0 && dots > 0;
}

static Str lower(Call *c, Str s) {
    Str copy = str_dup(c->arena, s);
    uint8_t *at = (uint8_t *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z') at[i] |= 0x20;
    return copy;
}

static Err take_host(Call *c, const DomainConfigurationRecord *r) {
    AccountName account;
    const DomainHomeRecord home = { .domain_name = lower(c, r->domain_name),
                                    .account = c->account,
                                    .domain_configuration_name = r->domain_configuration_name };
    if (!is_host(r->domain_name) || endpoint_account(r->domain_name, &account))
        return api_fail(c, IOT_INVALID_REQUEST, "Invalid domain name '%.*s': a fully qualified host name is expected",
                        PS(r->domain_name));
    Err e = domain_home_record_insert(c->txn, shared(c), &home);
    if (e != ERR_EXISTS) return e;
    c->failure.resource_id = r->domain_name;
    return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS, "The domain name %.*s is in use by another domain configuration",
                    PS(r->domain_name));
}

/* Source: "An AWS-managed domain": a host name of AWS's choice beside the account's own */
static Str managed_host(Call *c) {
    static const char BASE36[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint8_t random[20], text[20];
    rng_fill(c->rng, random, sizeof random);
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)BASE36[random[i] % 36];
    text[0] = 'd';
    Str domain = c->env->endpoint_domain.len ? c->env->endpoint_domain : S("amazonaws.localhost");
    return str_format(c->arena, "%.*s-ats.iot.%.*s.%.*s", (int)sizeof text, (const char *)text, PS(c->region),
                      PS(domain));
}

Err iot_domain_configuration_creating(Call *c, const IotCreateDomainConfigurationIn *in, DomainConfigurationRecord *r) {
    bool own = r->domain_name.len > 0;
    Str name = r->domain_configuration_name;
    Err e = iot_domain_configuration_before(c);
    if (e == OK && name.len >= 4 && str_eq_nocase(str_sub(name, 0, 4), S("IoT:")))
        e = api_fail(c, IOT_INVALID_REQUEST, "Names that begin with IoT: are AWS IoT's own");
    if (e == OK && !str_eq(r->service_type, S("DATA")))
        e = api_fail(c, IOT_INVALID_REQUEST, "serviceType %.*s is not supported; DATA is", PS(r->service_type));
    if (e == OK && own != (r->server_certificate_arns.n > 0))
        e = api_fail(c, IOT_INVALID_REQUEST,
                     "domainName and serverCertificateArns come together, or neither: then the "
                     "domain is AWS IoT's");
    if (e == OK) e = check_there(c, in->server_certificate_config, in->client_certificate_config);
    if (e == OK) e = check_said(c, r);
    if (e == OK && own) e = check_certificate(c, r);
    if (e != OK) return e;
    r->suffix = new_suffix(c);
    r->last_status_change_ms = c->now_ms;
    r->domain_type = own ? S("CUSTOMER_MANAGED") : S("AWS_MANAGED");
    if (!own) r->domain_name = managed_host(c);
    DomainConfigurationRecord had;
    e = domain_configuration_record_peek(c->txn, call_tenant(c), name, c->arena, &had);
    if (e == OK) return OK; /* the framework says that it exists */
    return e == ERR_NOT_FOUND ? take_host(c, r) : e;
}

Err iot_domain_configuration_updating(Call *c, const IotUpdateDomainConfigurationIn *in,
                                      const DomainConfigurationRecord *old, DomainConfigurationRecord *r) {
    bool disable = str_eq(r->domain_configuration_status, S("DISABLED"));
    if (in->remove_authorizer_config.v) {
        if (in->authorizer_config)
            return api_fail(c, IOT_INVALID_REQUEST, "removeAuthorizerConfig and authorizerConfig exclude each other");
        r->authorizer_config = STR_NONE;
    }
    if (str_eq(r->domain_type, ENDPOINT) && disable)
        return api_fail(c, IOT_INVALID_REQUEST, "%.*s is the account's own endpoint: it cannot be disabled",
                        PS(r->domain_configuration_name));
    if (!str_eq(old->domain_configuration_status, r->domain_configuration_status)) r->last_status_change_ms = c->now_ms;
    Err e = check_there(c, in->server_certificate_config, in->client_certificate_config);
    return e == OK ? check_said(c, r) : e;
}

Err iot_domain_configuration_deleting(Call *c, const IotDeleteDomainConfigurationIn *in,
                                      const DomainConfigurationRecord *r) {
    (void)in;
    if (str_eq(r->domain_type, ENDPOINT))
        return api_fail(c, IOT_INVALID_REQUEST, "%.*s is the account's own endpoint: it cannot be deleted",
                        PS(r->domain_configuration_name));
    if (!str_eq(r->domain_configuration_status, S("DISABLED")))
        return api_fail(c, IOT_INVALID_REQUEST, "The domain configuration must be disabled before deletion");
    if (str_eq(r->domain_type, S("AWS_MANAGED")) &&
        c->now_ms - r->last_status_change_ms < MANAGED_DISABLED_DAYS * DAY_MS)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "An AWS-managed domain must have been disabled for %d days before deletion",
                        MANAGED_DISABLED_DAYS);
    Err e = domain_home_record_delete(c->txn, shared(c), lower(c, r->domain_name));
    return e == ERR_NOT_FOUND ? OK : e;
}

static void tell_domains(Env *env, void *arg) {
    (void)arg;
    if (env->domains) domain_book_changed(env->domains);
}

Err iot_domain_configuration_changed(Call *c, const DomainConfigurationRecord *old,
                                     const DomainConfigurationRecord *r) {
    (void)old, (void)r;
    call_after(c, tell_domains, NULL);
    return OK;
}

Err iot_domain_configuration_described(Call *c, const DomainConfigurationRecord *r,
                                       IotDescribeDomainConfigurationOut *out) {
    IotServerCertificateSummary *items = arena_array(c->arena, IotServerCertificateSummary, 1);
    size_t n = r->server_certificate_arns.n;
    if (str_eq(r->domain_type, ENDPOINT)) {
        Str host =
            endpoint_host(c->account, r->domain_configuration_name, c->region, c->env->endpoint_domain, c->arena);
        out->domain_name = host;
    }
    if (n) {
        AcmCertificateRecord acm;
        Str wrong = S("The certificate is not there any more");
        Str begin = call_arn(c, "acm", "certificate/"), arn = r->server_certificate_arns.items[0];
        Err e = acm_certificate_record_get(c->txn, call_tenant(c), str_from(arn, begin.len), c->arena, &acm);
        if (e != OK && e != ERR_NOT_FOUND) return e;
        if (e == OK) judge(&acm, r->domain_name, c->arena, &wrong);
        items[0] = (IotServerCertificateSummary){ arn, wrong.ptr ? S("INVALID") : S("VALID"), wrong };
    }
    out->server_certificates = (IotServerCertificates){ items, n, true };
    return OK;
}
