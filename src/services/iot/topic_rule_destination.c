/* Destinations: where http, kafka and other actions may go, once whoever owns the place agreed.
 * Source: botocore's iot model; AWS IoT developer guide, "Working with HTTP action destinations"; Terraform's provider
 * (one that is not there answers UnauthorizedException, "Access to TopicRuleDestination 'arn' was denied") */
#include "services/iot/topic_rule.h"

#include "api/codec.h"
#include "api/page.h"
#include "base/encode.h"
#include "identity/authorize.h"
#include "rules/destination.h"
#include "services/env.h"

enum {
    DESTINATIONS_MAX = 1000, /* Source: AWS IoT Core quotas */
    VPC_MAX = 5,
    TOKEN_DAYS = 3,
    TOKEN_BYTES = 24,
    DAY_MS = 86400000,
};
static const PageSize DESTINATION_PAGE = { 100, 1000 };

static Str arn_of(Call *c, const TopicRuleDestinationRecord *d) {
    return call_arn(c, "iot", "ruledestination/%.*s/%.*s", PS(d->kind), PS(d->destination_id));
}

static Err denied(Call *c, Str arn) {
    return api_fail(c, IOT_UNAUTHORIZED, "Access to TopicRuleDestination '%.*s' was denied", PS(arn));
}

static Err need(Call *c, Str arn, TopicRuleDestinationRecord *out) {
    Str rest = arn, id = arn;
    while (rest.ptr) id = str_cut(&rest, '/');
    TopicRuleDestinationRecord d;
    Err e = topic_rule_destination_record_get(c->txn, call_tenant(c), id, c->arena, &d);
    if (e == ERR_NOT_FOUND || (e == OK && !str_eq(arn_of(c, &d), arn))) return denied(c, arn);
    if (e == OK) *out = d;
    return e;
}

/* ------------------------------------------------------------------------------------------------ after the commit */

typedef struct {
    Str account, id;
} Changed;

static void changed_now(Env *env, void *arg) {
    const Changed *x = arg;
    if (env->rules) destinations_changed(env->rules, x->account);
}

static void confirm_now(Env *env, void *arg) {
    const Changed *x = arg;
    if (env->rules) destination_ask(env->rules, x->account, x->id, env->endpoint);
}

static void after(Call *c, Str id, void (*run)(Env *, void *)) {
    Changed *x = arena_new(c->arena, Changed);
    *x = (Changed){ c->account, id };
    call_after(c, run, x);
}

/* ------------------------------------------------------------------------------------------------ making one */

/* The account is in it: who opens the link says nothing else. */
static Str token_new(Call *c) {
    uint8_t random[TOKEN_BYTES];
    rng_fill(c->rng, random, sizeof random);
    return str_format(c->arena, "%.*s-%.*s", PS(c->account), PS(hex_encode(c->arena, (Str){ random, sizeof random })));
}

static void ask(Call *c, TopicRuleDestinationRecord *d) {
    d->status = IOT_TOPIC_RULE_DESTINATION_STATUS_IN_PROGRESS;
    d->status_reason = S("Awaiting confirmation. Confirmation message sent to the endpoint");
    d->token = token_new(c);
    d->token_expires_ms = c->now_ms + (int64_t)TOKEN_DAYS * DAY_MS;
    after(c, d->destination_id, confirm_now);
}

static const ApiShape *configuration_shape(void) {
    const ApiOp *op = api_op(&iot_service, S("CreateTopicRuleDestination"));
    return op->in->members[0].shape;
}

static Err configuration_read(Call *c, Str json, IotTopicRuleDestinationConfiguration *out) {
    yyjson_val *v;
    Str why;
    *out = (IotTopicRuleDestinationConfiguration){ 0 };
    Err e = json_read(c->arena, json, false, &v, &why);
    return e == OK ? api_decode_struct(c->arena, configuration_shape(), v, out, &why) : ERR_CORRUPT;
}

static Err count(Call *c, Str kind, size_t *all, size_t *same) {
    RecordScan *scan;
    TopicRuleDestinationRecord d;
    Err e = topic_rule_destination_record_scan(c->txn, call_tenant(c), STR_NONE, false, &scan);
    if (e != OK) return e;
    while (topic_rule_destination_record_next(scan, c->arena, &d)) {
        ++*all;
        *same += str_eq(d.kind, kind);
    }
    return record_scan_end(scan);
}

static Err room(Call *c, Str kind) {
    size_t all = 0, same = 0;
    Err e = count(c, kind, &all, &same);
    if (e != OK) return e;
    if (str_eq(kind, S("vpc")) && same >= VPC_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "The account has %d VPC destinations already, which is the maximum",
                        VPC_MAX);
    if (all < DESTINATIONS_MAX) return OK;
    return api_fail(c, IOT_INVALID_REQUEST, "The account has %d destinations already, which is the maximum",
                    DESTINATIONS_MAX);
}

static bool plain_http(const Call *c) {
    return c->env->rules && rules_options(c->env->rules)->plain_http;
}

static Err make(Call *c, const IotTopicRuleDestinationConfiguration *in, TopicRuleDestinationRecord *out) {
    TopicRuleDestinationRecord d = { .destination_id = rng_uuid(c->rng, c->arena),
                                     .created_ms = c->now_ms,
                                     .updated_ms = c->now_ms };
    int n = !!in->http_url_configuration + !!in->vpc_configuration + !!in->influx_db_configuration;
    Str why = STR_NONE;
    if (n != 1)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "destinationConfiguration has exactly one of httpUrlConfiguration, vpcConfiguration and "
                        "influxDBConfiguration, got %d",
                        n);
    d.kind = in->http_url_configuration ? S("http") : in->vpc_configuration ? S("vpc") : S("influxdb");
    if (in->influx_db_configuration) return api_fail(c, IOT_INVALID_REQUEST, "InfluxDB destinations are not there yet");
    if (in->http_url_configuration &&
        !destination_url_ok(in->http_url_configuration->confirmation_url, plain_http(c), c->arena, &why))
        return api_fail(c, IOT_INVALID_REQUEST, "%.*s", PS(why));
    Err e = room(c, d.kind);
    if (e == OK && in->vpc_configuration && c->principal)
        e = authorize_action(c, S("iam:PassRole"), in->vpc_configuration->role_arn);
    if (e != OK) return e;
    d.configuration =
        json_write_mut(c->arena, api_encode_struct(json_doc(c->arena), c->arena, configuration_shape(), in));
    if (in->http_url_configuration) {
        ask(c, &d);
    } else { /* the server stands where its operator put it: there is no interface to be made */
        d.status = IOT_TOPIC_RULE_DESTINATION_STATUS_ENABLED;
    }
    after(c, d.destination_id, changed_now);
    e = topic_rule_destination_record_put(c->txn, call_tenant(c), &d);
    if (e == OK) *out = d;
    return e;
}

/* ------------------------------------------------------------------------------------------------ showing */

static Err show(Call *c, const TopicRuleDestinationRecord *d, IotTopicRuleDestination **out) {
    IotTopicRuleDestinationConfiguration conf;
    Err e = configuration_read(c, d->configuration, &conf);
    if (e != OK) return e;
    IotTopicRuleDestination *s = arena_new(c->arena, IotTopicRuleDestination);
    *s = (IotTopicRuleDestination){ .arn = arn_of(c, d),
                                    .status = d->status,
                                    .created_at = { true, d->created_ms },
                                    .last_updated_at = { true, d->updated_ms },
                                    .status_reason = d->status_reason };
    if (conf.http_url_configuration) {
        s->http_url_properties = arena_new(c->arena, IotHttpUrlDestinationProperties);
        s->http_url_properties->confirmation_url = conf.http_url_configuration->confirmation_url;
    }
    if (conf.vpc_configuration) {
        const IotVpcDestinationConfiguration *v = conf.vpc_configuration;
        s->vpc_properties = arena_new(c->arena, IotVpcDestinationProperties);
        *s->vpc_properties = (IotVpcDestinationProperties){ v->subnet_ids, v->security_groups, v->vpc_id, v->role_arn };
    }
    *out = s;
    return OK;
}

static Err summarize(Call *c, const TopicRuleDestinationRecord *d, IotTopicRuleDestinationSummary *out) {
    IotTopicRuleDestination *s;
    Err e = show(c, d, &s);
    if (e != OK) return e;
    *out = (IotTopicRuleDestinationSummary){ .arn = s->arn,
                                             .status = s->status,
                                             .created_at = s->created_at,
                                             .last_updated_at = s->last_updated_at,
                                             .status_reason = s->status_reason };
    if (s->http_url_properties) {
        out->http_url_summary = arena_new(c->arena, IotHttpUrlDestinationSummary);
        out->http_url_summary->confirmation_url = s->http_url_properties->confirmation_url;
    }
    if (s->vpc_properties) {
        const IotVpcDestinationProperties *v = s->vpc_properties;
        out->vpc_destination_summary = arena_new(c->arena, IotVpcDestinationSummary);
        *out->vpc_destination_summary =
            (IotVpcDestinationSummary){ v->subnet_ids, v->security_groups, v->vpc_id, v->role_arn };
    }
    return OK;
}

/* ------------------------------------------------------------------------------------------------ operations */

Err iot_create_topic_rule_destination(Call *c, const IotCreateTopicRuleDestinationIn *in,
                                      IotCreateTopicRuleDestinationOut *out) {
    TopicRuleDestinationRecord d;
    Err e = make(c, in->destination_configuration, &d);
    return e == OK ? show(c, &d, &out->topic_rule_destination) : e;
}

Err iot_get_topic_rule_destination(Call *c, const IotGetTopicRuleDestinationIn *in,
                                   IotGetTopicRuleDestinationOut *out) {
    TopicRuleDestinationRecord d;
    Err e = need(c, in->arn, &d);
    return e == OK ? show(c, &d, &out->topic_rule_destination) : e;
}

Err iot_list_topic_rule_destinations(Call *c, const IotListTopicRuleDestinationsIn *in,
                                     IotListTopicRuleDestinationsOut *out) {
    RecordScan *scan;
    TopicRuleDestinationRecord d;
    Page page;
    Err e = page_open(c, STR_NONE, in->next_token, in->max_results, DESTINATION_PAGE, &page);
    if (e == OK) e = topic_rule_destination_record_scan(c->txn, call_tenant(c), page.after, false, &scan);
    if (e != OK) return e;
    IotTopicRuleDestinationSummary *items = arena_array(c->arena, IotTopicRuleDestinationSummary, page.most);
    while (e == OK && topic_rule_destination_record_next(scan, c->arena, &d) && page_take(&page, scan))
        e = summarize(c, &d, &items[page.n - 1]);
    out->destination_summaries = (IotTopicRuleDestinationSummaries){ items, page.n, true };
    out->next_token = page.next;
    Err end = record_scan_end(scan);
    return e != OK ? e : end;
}

static Err put_changed(Call *c, TopicRuleDestinationRecord *d) {
    d->updated_ms = c->now_ms;
    after(c, d->destination_id, changed_now);
    return topic_rule_destination_record_put(c->txn, call_tenant(c), d);
}

/* Source: AWS IoT API, UpdateTopicRuleDestination: which status may follow which */
Err iot_update_topic_rule_destination(Call *c, const IotUpdateTopicRuleDestinationIn *in,
                                      IotUpdateTopicRuleDestinationOut *out) {
    (void)out;
    TopicRuleDestinationRecord d;
    Err e = need(c, in->arn, &d);
    if (e != OK) return e;
    Str enabled = IOT_TOPIC_RULE_DESTINATION_STATUS_ENABLED, disabled = IOT_TOPIC_RULE_DESTINATION_STATUS_DISABLED;
    bool again = str_eq(in->status, IOT_TOPIC_RULE_DESTINATION_STATUS_IN_PROGRESS) && str_eq(d.kind, S("http"));
    bool flips = (str_eq(in->status, enabled) && str_eq(d.status, disabled)) ||
                 (str_eq(in->status, disabled) && str_eq(d.status, enabled));
    if (!again && !flips)
        return api_fail(c, IOT_INVALID_REQUEST, "A destination that is %.*s cannot become %.*s", PS(d.status),
                        PS(in->status));
    if (again) {
        ask(c, &d);
    } else {
        d.status = in->status;
        d.status_reason = STR_NONE;
    }
    return put_changed(c, &d);
}

Err iot_delete_topic_rule_destination(Call *c, const IotDeleteTopicRuleDestinationIn *in,
                                      IotDeleteTopicRuleDestinationOut *out) {
    (void)out;
    TopicRuleDestinationRecord d;
    Err e = need(c, in->arn, &d);
    if (e != OK) return e;
    after(c, d.destination_id, changed_now);
    return topic_rule_destination_record_delete(c->txn, call_tenant(c), d.destination_id);
}

Err iot_confirm_topic_rule_destination(Call *c, const IotConfirmTopicRuleDestinationIn *in,
                                       IotConfirmTopicRuleDestinationOut *out) {
    (void)out;
    RecordScan *scan;
    TopicRuleDestinationRecord d = { 0 };
    Err e = topic_rule_destination_record_scan_by_token(c->txn, call_tenant(c), in->confirmation_token, STR_NONE, false,
                                                        &scan);
    if (e != OK) return e;
    bool found = topic_rule_destination_record_next(scan, c->arena, &d);
    e = record_scan_end(scan);
    if (e != OK) return e;
    if (!found || d.token_expires_ms <= c->now_ms)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "The confirmation token is unknown or has expired: ask for another by "
                        "UpdateTopicRuleDestination with the status IN_PROGRESS");
    e = topic_rule_destination_record_lock(c->txn, call_tenant(c), d.destination_id);
    d.status = IOT_TOPIC_RULE_DESTINATION_STATUS_ENABLED;
    d.status_reason = STR_NONE;
    d.token = STR_NONE;
    return e == OK ? put_changed(c, &d) : e;
}

/* ------------------------------------------------------------------------------------------------ rules' actions */

static bool has_template(Str s) {
    return str_find_str(s, S("${")) != SIZE_MAX;
}

/* An http action whose URL to confirm is known brings its destination with it. */
static Err http_destination(Call *c, const IotHttpAction *a) {
    Str url = a->confirmation_url.len ? a->confirmation_url : a->url;
    RecordScan *scan;
    TopicRuleDestinationRecord d;
    if (has_template(url)) return OK; /* made by hand */
    Err e = topic_rule_destination_record_scan(c->txn, call_tenant(c), STR_NONE, false, &scan);
    if (e != OK) return e;
    bool there = false;
    while (e == OK && !there && topic_rule_destination_record_next(scan, c->arena, &d)) {
        IotTopicRuleDestinationConfiguration conf;
        e = configuration_read(c, d.configuration, &conf);
        there = e == OK && conf.http_url_configuration && str_eq(conf.http_url_configuration->confirmation_url, url);
    }
    Err end = record_scan_end(scan);
    if (e != OK || end != OK) return e != OK ? e : end;
    if (there) return OK;
    IotHttpUrlDestinationConfiguration http = { .confirmation_url = url };
    const IotTopicRuleDestinationConfiguration conf = { .http_url_configuration = &http };
    return make(c, &conf, &d);
}

static Err action_check(Call *c, const IotAction *a) {
    TopicRuleDestinationRecord d;
    if (a->http) return http_destination(c, a->http);
    if (!a->kafka) return OK;
    Err e = need(c, a->kafka->destination_arn, &d);
    if (e == OK && !str_eq(d.kind, S("vpc")))
        return api_fail(c, IOT_INVALID_REQUEST, "A kafka action takes a VPC destination, %.*s is another kind's",
                        PS(a->kafka->destination_arn));
    return e;
}

Err topic_rule_actions_check(Call *c, const IotTopicRulePayload *payload) {
    Err e = OK;
    for (size_t i = 0; e == OK && i < payload->actions.n; i++) e = action_check(c, &payload->actions.items[i]);
    return e == OK && payload->error_action ? action_check(c, payload->error_action) : e;
}
