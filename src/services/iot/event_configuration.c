/* DescribeEventConfigurations and UpdateEventConfigurations. All kinds are off in a new account; an update changes
 * those that it names. Lifecycle events and $aws/events/certificates/registered have no key of their own here and are
 * always told, as AWS does. Source: botocore's iot model; AWS IoT developer guide, "Event messages" */
#include "services/iot/event_configuration.h"

#include "generated/iot.h"
#include "generated/registry_records.h"

static const Str ONE = STR_INIT("events");

/* The model's EventType, in its order. */
static const Str TYPES[] = { STR_INIT("THING"),
                             STR_INIT("THING_GROUP"),
                             STR_INIT("THING_TYPE"),
                             STR_INIT("THING_GROUP_MEMBERSHIP"),
                             STR_INIT("THING_GROUP_HIERARCHY"),
                             STR_INIT("THING_TYPE_ASSOCIATION"),
                             STR_INIT("JOB"),
                             STR_INIT("JOB_EXECUTION"),
                             STR_INIT("POLICY"),
                             STR_INIT("CERTIFICATE"),
                             STR_INIT("CA_CERTIFICATE") };
enum { TYPES_N = sizeof TYPES / sizeof *TYPES };

static bool has(const EventConfigurationRecord *r, Str type) {
    for (size_t i = 0; i < r->enabled.n; i++)
        if (str_eq(r->enabled.items[i], type)) return true;
    return false;
}

Err event_is_on(Call *c, Str type, bool *out) {
    EventConfigurationRecord r;
    Err e = event_configuration_record_peek(c->txn, call_tenant(c), ONE, c->arena, &r);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    *out = e == OK && has(&r, type);
    return OK;
}

Err iot_describe_event_configurations(Call *c, const IotDescribeEventConfigurationsIn *in,
                                      IotDescribeEventConfigurationsOut *out) {
    (void)in;
    EventConfigurationRecord r = { 0 };
    Err e = event_configuration_record_get(c->txn, call_tenant(c), ONE, c->arena, &r);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    IotEventConfigurationsEntry *items = arena_array(c->arena, IotEventConfigurationsEntry, TYPES_N);
    for (size_t i = 0; i < TYPES_N; i++)
        items[i] = (IotEventConfigurationsEntry){ TYPES[i], { { true, has(&r, TYPES[i]) } } };
    out->event_configurations = (IotEventConfigurations){ items, TYPES_N, true };
    out->creation_date = (OptInt){ e == OK, r.created_ms };
    out->last_modified_date = (OptInt){ e == OK, r.modified_ms };
    return OK;
}

static const IotEventConfigurationsEntry *given(const IotEventConfigurations *list, Str type) {
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->items[i].key, type)) return &list->items[i];
    return NULL;
}

Err iot_update_event_configurations(Call *c, const IotUpdateEventConfigurationsIn *in,
                                    IotUpdateEventConfigurationsOut *out) {
    (void)out;
    EventConfigurationRecord r = { .name = ONE, .created_ms = c->now_ms };
    Err e = event_configuration_record_get(c->txn, call_tenant(c), ONE, c->arena, &r);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    StrList enabled = { arena_array(c->arena, Str, TYPES_N), 0, true };
    for (size_t i = 0; i < TYPES_N; i++) {
        const IotEventConfigurationsEntry *x = given(&in->event_configurations, TYPES[i]);
        if (x ? x->value.enabled.v : has(&r, TYPES[i])) enabled.items[enabled.n++] = TYPES[i];
    }
    r.enabled = enabled;
    r.modified_ms = c->now_ms;
    return event_configuration_record_put(c->txn, call_tenant(c), &r);
}
