/* DescribeEndpoint: the default account's endpoints are all the server's own host; another account's have names of
 * their own, by which a client says whose it is (identity/endpoint.h). Ports tell nothing apart.
 *
 * AWS answers a host name without a port, and device SDKs take nothing else: so do the endpoints that devices use over
 * MQTT. Those that are only ever part of an https URL have the port too, unless it is 443. */
#include "generated/iot.h"
#include "identity/endpoint.h"
#include "services/env.h"

/* Source: DescribeEndpoint; iot:Data where none is given */
static bool is_type(Str type) {
    static const char *const TYPES[] = { "iot:Data", "iot:Data-ATS",      "iot:CredentialProvider",
                                         "iot:Jobs", "iot:DeviceAdvisor", "iot:Data-Beta" };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (str_eq(type, str_c(TYPES[i]))) return true;
    return false;
}

static bool for_https_only(Str type) {
    return str_eq(type, S("iot:CredentialProvider")) || str_eq(type, S("iot:Jobs"));
}

Err iot_describe_endpoint(Call *c, const IotDescribeEndpointIn *in, IotDescribeEndpointOut *out) {
    if (in->endpoint_type.len && !is_type(in->endpoint_type))
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Endpoint type '%.*s' is not one of iot:Data, iot:Data-ATS, iot:CredentialProvider, iot:Jobs, "
                        "iot:DeviceAdvisor and iot:Data-Beta",
                        PS(in->endpoint_type));
    const Env *env = c->env;
    Str type = in->endpoint_type.len ? in->endpoint_type : S("iot:Data");
    Str host = str_eq(c->account, env->account)
                   ? str_sub(env->endpoint, 0, env->endpoint.len - env->endpoint_port.len)
                   : endpoint_host(c->account, type, c->region, env->endpoint_domain, c->arena);
    Str port = for_https_only(type) ? env->endpoint_port : STR_NONE;
    out->endpoint_address = str_format(c->arena, "%.*s%.*s", PS(host), PS(port));
    return OK;
}
