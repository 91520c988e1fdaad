/* Kafka: the result is a record's value. librdkafka tries again by itself for as long as the action may take.
 * Source: AWS IoT developer guide, "Apache Kafka"; botocore's KafkaAction */
#include "generated/iot.h"
#include "rules/actions/kinds.h"
#include "rules/destination.h"
#include "rules/kafka_client.h"

enum { TOTAL_MS = 30000, HEADERS_MAX = 100, UNDER_WAY_MAX = 10000, PARTITION_MAX = 1 << 20 };

static bool has_template(Str s) {
    return str_find_str(s, S("${")) != SIZE_MAX;
}

static bool partition_of(Str text, int32_t *out) {
    int64_t n = -1;
    if (text.len && (str_to_i64(text, &n) != OK || n < 0 || n > PARTITION_MAX)) return false;
    *out = (int32_t)n;
    return true;
}

static Err check(ActionCheck *c, const void *action) {
    const IotKafkaAction *a = action;
    int32_t partition;
    Str why;
    if (!a->topic.len) return action_refuse(c, "A kafka action needs a topic");
    if (!has_template(a->partition) && !partition_of(a->partition, &partition))
        return action_refuse(c, "partition '%.*s' is no number of a partition", PS(a->partition));
    if (kafka_properties_check(a->client_properties, c->plain_http, c->arena, &why) != OK)
        return action_refuse(c, "%.*s", PS(why));
    return OK;
}

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotKafkaAction *)action)->topic;
}

static Str destination(Arena *arena, const void *action) {
    const IotKafkaAction *a = action;
    for (size_t i = 0; i < a->client_properties.n; i++)
        if (str_eq(a->client_properties.items[i].key, S("bootstrap.servers")))
            return str_format(arena, "kafka %.*s", PS(a->client_properties.items[i].value));
    return S("kafka");
}

static void done(void *ctx, const KafkaAnswer *answer) {
    ActionRun *run = ctx;
    ActionResult r = { .outcome = answer->result == OK          ? ACTION_DONE
                                  : answer->result == ERR_AGAIN ? ACTION_SLOWER
                                                                : ACTION_FAILED };
    if (answer->result != OK)
        r.why = str_format(run->arena, "KafkaAction failed to send a message to the specified bootstrap servers. %.*s",
                           PS(answer->why));
    action_done(run, r);
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotKafkaAction *a = item->action;
    StrPair *headers = arena_array(run->arena, StrPair, a->headers.n);
    for (size_t i = 0; i < a->headers.n; i++)
        headers[i] = (StrPair){ a->headers.items[i].key, a->headers.items[i].value };
    KafkaMessage m = { .properties = a->client_properties,
                       .plain = run->env->plain_http,
                       .topic = a->topic,
                       .key = a->key.len ? a->key : STR_NONE,
                       .payload = item->payload,
                       .headers = headers,
                       .headers_n = a->headers.n,
                       .timeout_ms = TOTAL_MS };
    const char *why = !run->env->kafka ? "this server has no Kafka client"
                      : !destination_enabled(run->env->rules, run->account, a->destination_arn)
                          ? "its destination is not enabled"
                      : !partition_of(a->partition, &m.partition) ? "partition is no number of a partition"
                      : a->headers.n > HEADERS_MAX                ? "there are more than 100 headers"
                                                                  : NULL;
    if (why) {
        action_failed(run, "KafkaAction failed to send a message to the specified bootstrap servers. %s", why);
        return;
    }
    kafka_send(run->env->kafka, &m, done, run);
}

const ActionKind ACTION_KAFKA = {
    .member = STR_INIT("kafka"),
    .failed = STR_INIT("KafkaAction"),
    .check = check,
    .resource = resource,
    .destination = destination,
    .start = start,
    .total_ms = TOTAL_MS,
    .under_way_max = UNDER_WAY_MAX,
};
