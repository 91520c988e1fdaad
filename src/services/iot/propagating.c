/* Source: AWS IoT developer guide, "Adding propagating attributes for message enrichment"; the connection attributes:
 * CloudFormation's AWS::IoT::ThingType PropagatingAttribute; the count: AWS IoT Core quotas */
#include "services/iot/propagating.h"

enum { PROPAGATING_MAX = 20 };
static const Str CONNECTION_ATTRIBUTES[] = { STR_INIT("iot:ClientId"), STR_INIT("iot:Thing.ThingName") };

static Err check(Call *c, const IotPropagatingAttributeList *list, size_t at) {
    const IotPropagatingAttribute *p = &list->items[at];
    if (!p->user_property_key.len)
        return api_fail(c, IOT_INVALID_REQUEST, "The userPropertyKey of propagating attribute %zu is missing", at + 1);
    for (size_t i = 0; i < at; i++)
        if (str_eq(list->items[i].user_property_key, p->user_property_key))
            return api_fail(c, IOT_INVALID_REQUEST, "The userPropertyKey %.*s is given twice",
                            PS(p->user_property_key));
    if (!p->thing_attribute.len == !p->connection_attribute.len)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "The propagating attribute %.*s must have either a thingAttribute or a connectionAttribute",
                        PS(p->user_property_key));
    for (size_t i = 0; p->connection_attribute.len; i++) {
        if (i == sizeof CONNECTION_ATTRIBUTES / sizeof *CONNECTION_ATTRIBUTES)
            return api_fail(c, IOT_INVALID_REQUEST,
                            "Invalid connectionAttribute %.*s: iot:ClientId and iot:Thing.ThingName are possible",
                            PS(p->connection_attribute));
        if (str_eq(p->connection_attribute, CONNECTION_ATTRIBUTES[i])) break;
    }
    return OK;
}

Err propagating_check(Call *c, const IotThingTypeProperties *in, ThingTypeRecord *type) {
    if (!in || !in->mqtt5_configuration) return OK;
    const IotPropagatingAttributeList *list = &in->mqtt5_configuration->propagating_attributes;
    if (list->n > PROPAGATING_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "%zu propagating attributes are more than the maximum of %d", list->n,
                        PROPAGATING_MAX);
    for (size_t i = 0; i < list->n; i++) {
        Err e = check(c, list, i);
        if (e != OK) return e;
    }
    if (list->n == 0) type->mqtt5_configuration = STR_NONE;
    return OK;
}
