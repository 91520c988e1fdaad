/* DescribeEndpoint: every kind of endpoint is the same host here; ports tell nothing apart. */
#include "generated/iot.h"
#include "services/env.h"

/* Source: DescribeEndpoint; iot:Data where none is given */
static bool is_type(Str type) {
    static const char *const TYPES[] = { "iot:Data", "iot:Data-ATS",      "iot:CredentialProvider",
                                         "iot:Jobs", "iot:DeviceAdvisor", "iot:Data-Beta" };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (str_eq(type, str_c(TYPES[i]))) return true;
    return false;
}

Err iot_describe_endpoint(Call *c, const IotDescribeEndpointIn *in, IotDescribeEndpointOut *out) {
    if (in->endpoint_type.len && !is_type(in->endpoint_type))
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Endpoint type '%.*s' is not one of iot:Data, iot:Data-ATS, iot:CredentialProvider, iot:Jobs, "
                        "iot:DeviceAdvisor and iot:Data-Beta",
                        PS(in->endpoint_type));
    out->endpoint_address = c->env->endpoint;
    return OK;
}
