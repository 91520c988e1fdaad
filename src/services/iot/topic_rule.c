/* Rules: the operations on them. What they do with messages: src/rules.
 * Source: botocore's iot model; AWS IoT developer guide, "Creating an AWS IoT rule"; Terraform's provider (a rule that
 * is not there answers UnauthorizedException, "Access to topic rule 'x' was denied") */
#include "services/iot/topic_rule.h"

#include "api/page.h"
#include "api/tag.h"
#include "base/encode.h"
#include "identity/authorize.h"
#include "mqtt/topic.h"
#include "rules/rule.h"
#include "services/env.h"

enum { RULES_MAX = 1000 };
static const PageSize RULE_PAGE = { 100, 10000 };

static Str rule_arn(Call *c, Str name) {
    return call_arn(c, "iot", "rule/%.*s", PS(name));
}

/* AWS does not tell a rule that is not there from one that is another's. */
static Err need(Call *c, Str name, TopicRuleRecord *out) {
    Err e = topic_rule_record_get(c->txn, call_tenant(c), name, c->arena, out);
    return e == ERR_NOT_FOUND ? api_fail(c, IOT_UNAUTHORIZED, "Access to topic rule '%.*s' was denied", PS(name)) : e;
}

/* ------------------------------------------------------------------------------------------------ changes */

typedef struct {
    Str account, name;
} Changed;

static void changed_now(Env *env, void *arg) {
    const Changed *x = arg;
    if (env->rules) rules_changed(env->rules, x->account, x->name);
}

void topic_rule_changed(Call *c, Str rule_name) {
    Changed *x = arena_new(c->arena, Changed);
    *x = (Changed){ c->account, rule_name };
    call_after(c, changed_now, x);
}

/* ------------------------------------------------------------------------------------------------ checks */

/* Each role of an action is one that the caller must be allowed to pass. */
static Err roles_check(Call *c, const IotAction *action) {
    const ApiShape *all = action_union();
    for (size_t i = 0; i < all->members_n; i++) {
        const void *kind = *(void *const *)((const char *)action + all->members[i].offset);
        const ApiShape *shape = all->members[i].shape;
        for (size_t k = 0; kind && k < shape->members_n; k++) {
            if (!str_eq(shape->members[k].name, S("roleArn"))) continue;
            Str role = *(const Str *)((const char *)kind + shape->members[k].offset);
            Err e = role.ptr && c->principal ? authorize_action(c, S("iam:PassRole"), role) : OK;
            if (e != OK) return e;
        }
    }
    return OK;
}

static Err check(Call *c, Str name, const IotTopicRulePayload *payload) {
    RuleFault fault;
    const RuleSpec spec = { .account = c->account,
                            .region = c->region,
                            .name = name,
                            .plain_http = c->env->rules && rules_options(c->env->rules)->plain_http };
    if (rule_check(&spec, payload, c->arena, &fault) != OK)
        return api_fail(c, fault.sql ? IOT_SQL_PARSE : IOT_INVALID_REQUEST, "%.*s", PS(fault.text));
    Err e = OK;
    for (size_t i = 0; e == OK && i < payload->actions.n; i++) e = roles_check(c, &payload->actions.items[i]);
    if (e == OK && payload->error_action) e = roles_check(c, payload->error_action);
    return e;
}

/* Shape: key=value&key=value, percent-encoded, as the header x-amz-tagging has it */
static Err tags_read(Call *c, Str text, StrMap *out) {
    StrMap given = { arena_array(c->arena, StrPair, TAGS_MAX + 1), 0, text.len > 0 };
    for (Str rest = text; rest.len && given.n <= TAGS_MAX;) {
        Str value = str_cut(&rest, '&'), key = str_cut(&value, '=');
        StrPair *p = &given.items[given.n++];
        if (percent_decode(c->arena, key, true, &p->key) != OK ||
            percent_decode(c->arena, value.ptr ? value : S(""), true, &p->value) != OK)
            return api_fail(c, IOT_INVALID_REQUEST, "The tags are not key=value pairs with & between them: '%.*s'",
                            PS(str_sub(text, 0, 100)));
    }
    return tag_check(c, given, out);
}

static Err too_many(Call *c) {
    size_t max = c->env->rules ? rules_options(c->env->rules)->rules_max : RULES_MAX;
    if (!c->env->rules || rules_count(c->env->rules, c->account) < max) return OK;
    return api_fail(c, IOT_INVALID_REQUEST, "The account has %zu rules already, which is the maximum", max);
}

static void fill(Call *c, TopicRuleRecord *row, const IotTopicRulePayload *payload) {
    row->payload = rule_payload_write(payload, c->arena);
    row->disabled = payload->rule_disabled.v;
    row->topic_pattern = rule_topic_pattern(payload, c->arena);
}

/* ------------------------------------------------------------------------------------------------ operations */

Err iot_create_topic_rule(Call *c, const IotCreateTopicRuleIn *in, IotCreateTopicRuleOut *out) {
    (void)out;
    TopicRuleRecord row = { .rule_name = in->rule_name, .created_ms = c->now_ms }, have;
    Err e = topic_rule_record_get(c->txn, call_tenant(c), in->rule_name, c->arena, &have);
    if (e == OK) {
        c->failure.resource_id = in->rule_name;
        c->failure.resource_arn = rule_arn(c, in->rule_name);
        return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS, "Rule %.*s already exists", PS(in->rule_name));
    }
    if (e != ERR_NOT_FOUND) return e;
    e = too_many(c);
    if (e == OK) e = check(c, in->rule_name, in->topic_rule_payload);
    if (e == OK) e = topic_rule_actions_check(c, in->topic_rule_payload);
    if (e == OK) e = tags_read(c, in->tags, &row.tags);
    if (e != OK) return e;
    fill(c, &row, in->topic_rule_payload);
    topic_rule_changed(c, in->rule_name);
    return topic_rule_record_put(c->txn, call_tenant(c), &row);
}

Err iot_get_topic_rule(Call *c, const IotGetTopicRuleIn *in, IotGetTopicRuleOut *out) {
    TopicRuleRecord row;
    IotTopicRulePayload p;
    Err e = need(c, in->rule_name, &row);
    if (e == OK && rule_payload_read(row.payload, c->arena, &p) != OK) e = ERR_CORRUPT;
    if (e != OK) return e;
    IotTopicRule *rule = arena_new(c->arena, IotTopicRule);
    *rule = (IotTopicRule){ .rule_name = row.rule_name,
                            .sql = p.sql,
                            .description = p.description,
                            .created_at = { true, row.created_ms },
                            .actions = p.actions,
                            .rule_disabled = { true, row.disabled },
                            .aws_iot_sql_version = p.aws_iot_sql_version.len ? p.aws_iot_sql_version : S("2015-10-08"),
                            .error_action = p.error_action };
    rule->actions.set = true;
    *out = (IotGetTopicRuleOut){ .rule_arn = rule_arn(c, row.rule_name), .rule = rule };
    return OK;
}

static bool is_listed(const IotListTopicRulesIn *in, const TopicRuleRecord *row) {
    if (in->rule_disabled.set && in->rule_disabled.v != row->disabled) return false;
    if (!in->topic.len) return true;
    return row->topic_pattern.ptr &&
           (str_eq(row->topic_pattern, in->topic) || mqtt_topic_matches(row->topic_pattern, in->topic));
}

/* topic: the rules that take its messages. */
Err iot_list_topic_rules(Call *c, const IotListTopicRulesIn *in, IotListTopicRulesOut *out) {
    Str filters = str_format(c->arena, "%d%d%.*s", in->rule_disabled.set, in->rule_disabled.v, PS(in->topic));
    RecordScan *scan;
    TopicRuleRecord row;
    Page page;
    Err e = page_open(c, filters, in->next_token, in->max_results, RULE_PAGE, &page);
    if (e == OK) e = topic_rule_record_scan(c->txn, call_tenant(c), page.after, false, &scan);
    if (e != OK) return e;
    IotTopicRuleListItem *items = arena_array(c->arena, IotTopicRuleListItem, page.most);
    while (topic_rule_record_next(scan, c->arena, &row)) {
        if (!is_listed(in, &row)) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = (IotTopicRuleListItem){ .rule_arn = rule_arn(c, row.rule_name),
                                                    .rule_name = row.rule_name,
                                                    .topic_pattern = row.topic_pattern,
                                                    .created_at = { true, row.created_ms },
                                                    .rule_disabled = { true, row.disabled } };
    }
    out->rules = (IotTopicRuleList){ items, page.n, true };
    out->next_token = page.next;
    return record_scan_end(scan);
}

Err iot_replace_topic_rule(Call *c, const IotReplaceTopicRuleIn *in, IotReplaceTopicRuleOut *out) {
    (void)out;
    TopicRuleRecord row;
    Err e = need(c, in->rule_name, &row);
    if (e == OK) e = check(c, in->rule_name, in->topic_rule_payload);
    if (e == OK) e = topic_rule_actions_check(c, in->topic_rule_payload);
    if (e != OK) return e;
    fill(c, &row, in->topic_rule_payload);
    topic_rule_changed(c, in->rule_name);
    return topic_rule_record_put(c->txn, call_tenant(c), &row);
}

static Err set_disabled(Call *c, Str name, bool disabled) {
    TopicRuleRecord row;
    Err e = need(c, name, &row);
    if (e != OK || row.disabled == disabled) return e;
    row.disabled = disabled;
    topic_rule_changed(c, name);
    return topic_rule_record_put(c->txn, call_tenant(c), &row);
}

Err iot_enable_topic_rule(Call *c, const IotEnableTopicRuleIn *in, IotEnableTopicRuleOut *out) {
    (void)out;
    return set_disabled(c, in->rule_name, false);
}

Err iot_disable_topic_rule(Call *c, const IotDisableTopicRuleIn *in, IotDisableTopicRuleOut *out) {
    (void)out;
    return set_disabled(c, in->rule_name, true);
}

Err iot_delete_topic_rule(Call *c, const IotDeleteTopicRuleIn *in, IotDeleteTopicRuleOut *out) {
    (void)out;
    TopicRuleRecord row;
    Err e = need(c, in->rule_name, &row);
    if (e != OK) return e;
    topic_rule_changed(c, in->rule_name);
    return topic_rule_record_delete(c->txn, call_tenant(c), row.rule_name);
}
