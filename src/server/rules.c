#include "server/rules.h"

#include "generated/iot.h"
#include "net/fetch.h"
#include "rules/rules.h"
#include "server/rule_data.h"
#include "services/inner_call.h"

static const char *or_dash(Str s) {
    return s.len ? "" : "-";
}

/* Levels as AWS has them: what leads to an execution is for debugging, that it was and how it ended is not. */
static void tell_account(Server *s, const RuleEvent *e) {
    ServiceEvent event;
    if (!service_log_any(s->env.service_log)) return;
    if (!service_event_find(str_c(e->event), &event)) return; /* the server's own, not one of AWS's */
    bool debug = event == SERVICE_EVENT_STARTING_RULE_EXECUTION || event == SERVICE_EVENT_FUNCTION_EXECUTION;
    LogEntry entry = { .event = event,
                       .level = !e->success ? LOG_ERROR
                                : debug     ? LOG_DEBUG
                                            : LOG_INFO,
                       .success = e->success,
                       .now_ms = clock_ms(&s->clock),
                       .trace_id = e->trace_id.len ? e->trace_id : STR_NONE,
                       .account = e->account,
                       .topic = e->topic,
                       .client_id = e->client_id.len ? e->client_id : S("N/A"),
                       .principal_id = e->principal.len ? e->principal : STR_NONE,
                       .source_ip = e->source_ip.len ? e->source_ip : STR_NONE,
                       .details = e->details.len ? e->details : STR_NONE,
                       .more = { { .name = "ruleName", .text = e->rule } },
                       .more_n = 1 };
    if (e->action.len) entry.more[entry.more_n++] = (LogField){ .name = "ruleAction", .text = e->action };
    if (e->resource.len) entry.more[entry.more_n++] = (LogField){ .name = "resources", .text = e->resource };
    const LogSubject subject = {
        .account = e->account, .client_id = e->client_id, .principal_id = e->principal, .source_ip = e->source_ip
    };
    service_log_tell(s->env.service_log, &subject, &entry);
}

static void on_event(void *ctx, const RuleEvent *e) {
    Server *s = ctx;
    tell_account(s, e);
    if (e->level < s->log.least) return;
    log_line(&s->log, e->level,
             "event=%s status=%s account=%.*s rule=%.*s action=%.*s%s resource=%.*s%s client=%.*s%s principal=%.*s%s "
             "topic=%.*s trace=%.*s%s ip=%.*s%s details=%.*s%s",
             e->event, e->success ? "Success" : "Failure", PS(e->account), PS(e->rule), PS(e->action),
             or_dash(e->action), PS(e->resource), or_dash(e->resource), PS(e->client_id), or_dash(e->client_id),
             PS(e->principal), or_dash(e->principal), PS(e->topic), PS(e->trace_id), or_dash(e->trace_id),
             PS(e->source_ip), or_dash(e->source_ip), PS(e->details), or_dash(e->details));
}

static bool explains(void *ctx) {
    const Server *s = ctx;
    return s->log.least <= LOG_DEBUG || service_log_any(s->env.service_log);
}

Err open_rules(Server *s, Str *why) {
    if (fetch_new(&(FetchOptions){ .elsewhere_only = !s->settings.rules_plain_http }, &s->outward) != OK) {
        *why = S("libcurl cannot start");
        return ERR_IO;
    }
    s->outside = outside_new(&(OutsideOptions){ .aws = s->aws,
                                                .objects = s->objects,
                                                .functions = s->env.functions,
                                                .clock = &s->clock,
                                                .local = rule_data(s),
                                                .roles = s->env.roles });
    s->env.rules = rules_new(
        &(RulesOptions){ .store = s->env.store,
                         .workers = s->env.workers,
                         .clock = &s->clock,
                         .region = s->env.region,
                         .outside = outside_table(s->outside),
                         .roles = s->env.roles,
                         .rules_max = (size_t)s->settings.rules_max,
                         .evaluations_per_s = s->settings.aws_quotas ? (uint32_t)s->settings.rule_evaluations_per_s : 0,
                         .plain_http = s->settings.rules_plain_http,
                         .on_event = on_event,
                         .on_event_ctx = s,
                         .explains = explains });
    return OK;
}

/* What rules call of this server's own services. */
static Err operation(void *ctx, Str account, const ApiService *service, Str name, const void *in, Arena *arena,
                     void **out, Str *code, Str *message) {
    Server *s = ctx;
    Rng rng = { 0 };
    const InnerCall who = { .env = &s->env, .tenant = { account, s->env.region }, .rng = &rng, .arena = arena };
    return inner_call(&who, service, name, in, out, code, message);
}

void connect_rules(Server *s) {
    rules_connect(s->env.rules, &(ActionEnv){ .broker = s->env.broker,
                                              .functions = s->env.functions,
                                              .outward = s->outward,
                                              .operation = operation,
                                              .operation_ctx = s,
                                              .fetch = s->fetch,
                                              .aws = s->aws,
                                              .objects = s->objects,
                                              .clock = &s->clock,
                                              .region = s->env.region,
                                              .data_dir = s->env.data_dir,
                                              .ca_file = s->settings.rules_ca,
                                              .plain_http = s->settings.rules_plain_http });
}

void rules_confirm(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    static const Str PATH = STR_INIT("/confirmdestination/");
    Server *s = ctx;
    Rng rng = { 0 };
    Str token = str_from(rq->path, PATH.len), rest = token, account = str_cut(&rest, '-'), code, message;
    const InnerCall who = { .env = &s->env, .tenant = { account, s->env.region }, .rng = &rng, .arena = arena };
    const IotConfirmTopicRuleDestinationIn in = { .confirmation_token = token };
    void *out;
    Err e = inner_call(&who, &iot_service, S("ConfirmTopicRuleDestination"), &in, &out, &code, &message);
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    rs->status = e == OK ? 200 : e == ERR_API ? 400 : 500;
    json_add_str(doc, o, S("message"), e == OK ? S("The destination is enabled") : message);
    rs->headers[0] = (HttpHeader){ S("Content-Type"), S("application/json") };
    rs->headers_n = 1;
    rs->body = json_write_mut(arena, o);
}

size_t rules_server_figures(Server *s, AdminFigure *out) {
    RulesFigures f = rules_figures(s->env.rules);
    const AdminFigure all[RULE_FIGURES] = {
        { "rules", (int64_t)f.rules },
        { "rules_matched_total", (int64_t)f.matched },
        { "rules_executed_total", (int64_t)f.executed },
        { "rules_parse_errors_total", (int64_t)f.parse_errors },
        { "rules_not_found_total", (int64_t)f.not_found },
        { "rules_throttled_total", (int64_t)f.throttled },
        { "rule_actions_succeeded_total", (int64_t)f.succeeded },
        { "rule_actions_failed_total", (int64_t)f.failed },
        { "rule_actions_retried_total", (int64_t)f.retried },
        { "rule_actions_throttled_total", (int64_t)f.actions_throttled },
        { "rule_error_actions_succeeded_total", (int64_t)f.error_succeeded },
        { "rule_error_actions_failed_total", (int64_t)f.error_failed },
        { "rule_actions_waiting", f.queued },
    };
    memcpy(out, all, sizeof all);
    return RULE_FIGURES;
}

static void totals(void *ctx, const RuleTotals *t) {
    Writer *w = ctx;
    const struct {
        const char *name;
        uint64_t v;
    } all[] = { { "matched", t->matched },
                { "executed", t->executed },
                { "parse_errors", t->parse_errors },
                { "throttled", t->throttled } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        writer_format(w, "starling_rule_%s_total{account=\"%.*s\",rule=\"%.*s\"} %llu\n", all[i].name, PS(t->account),
                      PS(t->rule), (unsigned long long)all[i].v);
}

static void actions(void *ctx, const RuleActionFigures *f) {
    Writer *w = ctx;
    const struct {
        const char *name;
        uint64_t v;
    } all[] = { { "succeeded_total", f->succeeded },
                { "failed_total", f->failed },
                { "throttled_total", f->throttled },
                { "retried_total", f->retried },
                { "waiting", f->queued > 0 ? (uint64_t)f->queued : 0 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        writer_format(
            w,
            "starling_rule_action_%s{account=\"%.*s\",rule=\"%.*s\",stage=\"%s\",index=\"%zu\",action=\"%.*s\"} "
            "%llu\n",
            all[i].name, PS(f->account), PS(f->rule), f->stage, f->index, PS(f->action), (unsigned long long)all[i].v);
}

/* Names of rules and accounts hold nothing that Prometheus' format would want escaped. */
void rules_write_metrics(Server *s, Writer *w) {
    rules_each_figure(s->env.rules, totals, actions, w);
}
