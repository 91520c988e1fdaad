/* Retained messages as the broker keeps them. One whose time is over is gone, swept or not.
 * Source: botocore's iot-data model; AWS IoT developer guide, "MQTT retained messages" */
#include "api/page.h"
#include "base/json.h"
#include "generated/iot_data.h"
#include "generated/iot_records.h"
#include "mqtt/props.h"

static const PageSize PAGE = { .otherwise = 200, .most = 200 };

static bool is_over(const Call *c, const RetainedMessageRecord *r) {
    return r->expires_ms != 0 && r->expires_ms <= c->now_ms;
}

/* [{"name":"value"},…], or nothing where the message has none. */
static Str user_properties(Call *c, Str props) {
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    Str rest = props, name, value;
    while (mqtt_props_next_user(&rest, &name, &value))
        json_add_str(doc, yyjson_mut_arr_add_obj(doc, list), name, value);
    return yyjson_mut_arr_size(list) ? json_write_mut(c->arena, list) : STR_NONE;
}

Err iot_data_get_retained_message(Call *c, const IotDataGetRetainedMessageIn *in, IotDataGetRetainedMessageOut *out) {
    RetainedMessageRecord r;
    Err e = retained_message_record_peek(c->txn, call_tenant(c), in->topic, c->arena, &r);
    if (e == ERR_NOT_FOUND || (e == OK && is_over(c, &r)))
        return api_fail(c, IOT_DATA_RESOURCE_NOT_FOUND, "No retained message exists for topic '%.*s'", PS(in->topic));
    if (e != OK) return e;
    *out = (IotDataGetRetainedMessageOut){ .topic = r.topic,
                                           .payload = r.payload,
                                           .qos = { true, r.qos },
                                           .last_modified_time = { true, r.published_ms },
                                           .user_properties = user_properties(c, r.props) };
    return OK;
}

Err iot_data_list_retained_messages(Call *c, const IotDataListRetainedMessagesIn *in,
                                    IotDataListRetainedMessagesOut *out) {
    RecordScan *scan;
    RetainedMessageRecord r;
    Page page;
    Err e = page_open(c, STR_NONE, in->next_token, in->max_results, PAGE, &page);
    if (e == OK) e = retained_message_record_scan(c->txn, call_tenant(c), page.after, false, &scan);
    if (e != OK) return e;
    IotDataRetainedMessageSummary *items = arena_array(c->arena, IotDataRetainedMessageSummary, page.most);
    while (retained_message_record_next(scan, c->arena, &r)) {
        if (is_over(c, &r)) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = (IotDataRetainedMessageSummary){ .topic = r.topic,
                                                             .payload_size = { true, (int64_t)r.payload.len },
                                                             .qos = { true, r.qos },
                                                             .last_modified_time = { true, r.published_ms } };
    }
    out->retained_topics = (IotDataRetainedMessageList){ items, page.n, true };
    out->next_token = page.next;
    return record_scan_end(scan);
}
