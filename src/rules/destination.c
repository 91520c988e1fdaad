#include "rules/destination.h"

#include <stdlib.h>

#include "api/codec.h"
#include "generated/iot.h"
#include "generated/rules_records.h"
#include "net/fetch.h"
#include "rules/engine.h"

/* ------------------------------------------------------------------------------------------------ URLs */

static bool wrong(Arena *arena, Str *why, Str url, const char *right) {
    *why = str_format(arena, "The URL '%.*s' does not do: %s", PS(str_sub(url, 0, 200)), right);
    return false;
}

bool destination_url_ok(Str url, bool plain_http, Arena *arena, Str *why) {
    bool https = str_starts(url, S("https://")), http = str_starts(url, S("http://"));
    if (str_starts(url, S("${"))) return true; /* seen when it is rendered */
    if (!https && !(http && plain_http))
        return wrong(arena, why, url,
                     "it begins with https:// (plain HTTP and this machine are for servers with "
                     "--rules-plain-http)");
    Str rest = str_from(url, https ? 8 : 7);
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end])) end++;
    Str port = str_sub(rest, 0, end);
    if (str_find_str(port, S("${")) != SIZE_MAX) return true;
    if (str_find(port, '@') != SIZE_MAX) return wrong(arena, why, url, "a user name is not taken");
    if (str_starts(port, S("["))) return wrong(arena, why, url, "IPv6 addresses are not taken");
    Str host = str_cut(&port, ':');
    if (!host.len) return wrong(arena, why, url, "a host is expected");
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || url.ptr[i] == 127)
            return wrong(arena, why, url, "it holds a blank or control character");
    int64_t n;
    if (!port.ptr || plain_http) return true;
    if (str_to_i64(port, &n) != OK || (n != 443 && n != 8443)) return wrong(arena, why, url, "its port is 443 or 8443");
    return true;
}

/* ------------------------------------------------------------------------------------------------ in memory */

struct Destinations {
    Arena arena;
    size_t n, cap;
    struct {
        Str arn, url; /* url: of http, to be confirmed */
        bool enabled;
    } * items;
};

static Str confirmation_url(Str configuration, Arena *arena) {
    yyjson_val *v;
    if (json_read(arena, configuration, false, &v, NULL) != OK) return STR_NONE;
    return json_str(json_get(json_get(v, S("httpUrlConfiguration")), S("confirmationUrl")));
}

static void add(Destinations *d, Rules *r, Str account, const TopicRuleDestinationRecord *row) {
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 8;
        d->items = mem_grow(d->items, d->cap * sizeof *d->items);
    }
    d->items[d->n].arn = str_format(&d->arena, "arn:aws:iot:%.*s:%.*s:ruledestination/%.*s/%.*s", PS(r->o.region),
                                    PS(account), PS(row->kind), PS(row->destination_id));
    d->items[d->n].url = confirmation_url(row->configuration, &d->arena);
    d->items[d->n++].enabled = str_eq(row->status, IOT_TOPIC_RULE_DESTINATION_STATUS_ENABLED);
}

void destinations_free(Destinations *d) {
    if (!d) return;
    arena_free(&d->arena);
    free(d->items);
    free(d);
}

static Err load(Rules *r, Str account, Destinations *d) {
    Txn *txn;
    RecordScan *scan;
    TopicRuleDestinationRecord row;
    Err e = txn_begin(r->o.store, &txn);
    if (e != OK) return e;
    e = topic_rule_destination_record_scan(txn, (Tenant){ account, r->o.region }, STR_NONE, false, &scan);
    if (e == OK) {
        while (topic_rule_destination_record_next(scan, &d->arena, &row)) add(d, r, account, &row);
        e = record_scan_end(scan);
    }
    txn_abort(txn);
    return e;
}

void destinations_changed(Rules *r, Str account) {
    Destinations *d = mem_new(sizeof *d);
    pthread_mutex_lock(&r->change);
    Err e = load(r, account, d);
    if (e == OK) d = rules_set_destinations(r, account, d);
    pthread_mutex_unlock(&r->change);
    destinations_free(d); /* the former ones, or what could not be read */
}

typedef struct {
    Str url, arn;
    bool known, enabled;
} Asked;

static void look(const Destinations *d, void *ctx) {
    Asked *a = ctx;
    for (size_t i = 0; d && i < d->n; i++) {
        bool same =
            a->url.ptr ? d->items[i].url.len && str_starts(a->url, d->items[i].url) : str_eq(a->arn, d->items[i].arn);
        a->known |= same;
        a->enabled |= same && d->items[i].enabled;
    }
}

bool destination_allows_url(Rules *r, Str account, Str url, const char **why) {
    Asked a = { .url = url };
    rules_with_destinations(r, account, look, &a);
    if (!a.enabled) *why = a.known ? "its destination is not enabled (confirmed)" : "there is no destination for it";
    return a.enabled;
}

bool destination_enabled(Rules *r, Str account, Str arn) {
    Asked a = { .arn = arn };
    rules_with_destinations(r, account, look, &a);
    return a.enabled;
}

/* ------------------------------------------------------------------------------------------------ asking */

enum { ASK_MS = 10000, ANSWER_BYTES_MAX = 16384 };

typedef struct {
    Job job;
    Rules *rules;
    Arena arena;
    Str account, id, token, reason;
} Asking;

static Err note_error(Job *job, Txn *txn) {
    Asking *a = (Asking *)job;
    Tenant t = { a->account, a->rules->o.region };
    TopicRuleDestinationRecord d;
    Err e = topic_rule_destination_record_get(txn, t, a->id, &a->arena, &d);
    if (e != OK || !str_eq(d.token, a->token)) return e == ERR_NOT_FOUND ? OK : e; /* gone, confirmed, or asked again */
    d.status = IOT_TOPIC_RULE_DESTINATION_STATUS_ERROR;
    d.status_reason = a->reason;
    d.updated_ms = clock_ms(a->rules->o.clock);
    return topic_rule_destination_record_put(txn, t, &d);
}

static void asking_free(Asking *a) {
    arena_free(&a->arena);
    free(a);
}

static void noted(Job *job, Err e) {
    Asking *a = (Asking *)job;
    if (e == OK) destinations_changed(a->rules, a->account);
    asking_free(a);
}

static void answered(void *ctx, const FetchAnswer *answer) {
    Asking *a = ctx;
    bool ok = answer->result == OK && answer->status / 100 == 2;
    if (ok || answer->result == ERR_CLOSED || atomic_load(&a->rules->stopping)) {
        asking_free(a);
        return;
    }
    a->reason =
        answer->result == OK
            ? str_format(&a->arena, "The endpoint answered the confirmation message with status %d", answer->status)
            : str_format(&a->arena, "The confirmation message could not be delivered: %.*s", PS(answer->why));
    a->job = (Job){ .key = str_hash(a->id), .run = note_error, .done = noted };
    workers_submit(a->rules->o.workers, &a->job);
}

/* Source: the guide's page: the message's headers and body */
static void send(Asking *a, Str arn, Str url, Str endpoint) {
    Arena *arena = &a->arena;
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    Str enable = str_format(arena, "https://%.*s/confirmdestination/%.*s", PS(endpoint), PS(a->token));
    bool query = str_find(url, '?') != SIZE_MAX;
    json_add_str(doc, o, S("arn"), arn);
    json_add_str(doc, o, S("confirmationToken"), a->token);
    json_add_str(doc, o, S("enableUrl"), enable);
    json_add_str(doc, o, S("messageType"), S("DestinationConfirmation"));
    const HttpHeader headers[] = { { S("Content-Type"), S("application/json") },
                                   { S("x-amz-rules-engine-message-type"), S("DestinationConfirmation") },
                                   { S("x-amz-rules-engine-destination-arn"), arn } };
    fetch_start(a->rules->env.outward,
                &(FetchRequest){ .method = S("POST"),
                                 .url = str_format(arena, "%.*s%sconfirmationToken=%.*s", PS(url),
                                                   query                   ? "&"
                                                   : str_ends(url, S("/")) ? "?"
                                                                           : "/?",
                                                   PS(a->token)),
                                 .headers = headers,
                                 .headers_n = 3,
                                 .body = json_write_mut(arena, o),
                                 .ca_file = a->rules->env.ca_file,
                                 .total_ms = ASK_MS,
                                 .answer_bytes_max = ANSWER_BYTES_MAX },
                answered, a);
}

void destination_ask(Rules *r, Str account, Str id, Str endpoint) {
    Asking *a = mem_new(sizeof *a);
    Txn *txn;
    TopicRuleDestinationRecord d;
    a->rules = r;
    a->account = str_dup(&a->arena, account);
    a->id = str_dup(&a->arena, id);
    Err e = r->env.outward ? txn_begin(r->o.store, &txn) : ERR_NOT_IMPLEMENTED;
    if (e == OK) {
        e = topic_rule_destination_record_peek(txn, (Tenant){ account, r->o.region }, id, &a->arena, &d);
        txn_abort(txn);
    }
    if (e != OK || !d.token.len) {
        asking_free(a);
        return;
    }
    a->token = d.token;
    Str arn =
        str_format(&a->arena, "arn:aws:iot:%.*s:%.*s:ruledestination/http/%.*s", PS(r->o.region), PS(account), PS(id));
    send(a, arn, confirmation_url(d.configuration, &a->arena), endpoint);
}
