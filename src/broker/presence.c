#include "base/json.h"
#include "broker/client.h"

/* Lifecycle events: ordinary messages on $aws/events/…, always on.
 * Source: developer guide, "Lifecycle events"; client ids with '#' or '+' produce none. */

typedef struct {
    Arena arena;
    yyjson_mut_doc *doc;
    yyjson_mut_val *o;
} Event;

static bool begin(Event *e, Client *c, const char *type) {
    *e = (Event){ 0 };
    if (str_find(c->client_id, '#') != SIZE_MAX || str_find(c->client_id, '+') != SIZE_MAX) return false;
    e->doc = json_doc(&e->arena);
    e->o = yyjson_mut_obj(e->doc);
    json_add_str(e->doc, e->o, S("clientId"), c->client_id);
    const Principal *p = c->principal;
    for (size_t i = 0; i < p->things_n; i++)
        if (p->things[i].exclusive) json_add_str(e->doc, e->o, S("thingName"), p->things[i].name);
    yyjson_mut_obj_add_int(e->doc, e->o, "timestamp", clock_ms(c->broker->o.clock));
    json_add_str(e->doc, e->o, S("eventType"), str_c(type));
    return true;
}

static void end(Event *e, Client *c, const char *kind) {
    json_add_str(e->doc, e->o, S("sessionIdentifier"), uuid_text(c->session_id, &e->arena));
    json_add_str(e->doc, e->o, S("principalIdentifier"), c->principal->id);
    Message m = { .space = c->space,
                  .topic = str_format(&e->arena, "$aws/events/%s/%.*s", kind, PS(c->client_id)),
                  .payload = json_write_mut(&e->arena, e->o) };
    Route r = route_once(c->shard, c->space, m.topic);
    publish_route(c->shard, &m, &r);
    if (r.rules) rule_run(c->shard, &m, &r, &(RuleOrigin){ 0 });
    route_once_free(c->shard, &r);
    arena_free(&e->arena);
}

void presence_connected(Client *c) {
    Event e;
    if (!begin(&e, c, "connected")) return;
    json_add_str(e.doc, e.o, S("ipAddress"), c->source_ip);
    yyjson_mut_obj_add_uint(e.doc, e.o, "versionNumber", c->session->presence - 1);
    end(&e, c, "presence/connected");
}

void presence_disconnected(Client *c, LeaveReason why) {
    Event e;
    if (!begin(&e, c, "disconnected")) return;
    yyjson_mut_obj_add_bool(e.doc, e.o, "clientInitiatedDisconnect", why == LEAVE_CLIENT);
    json_add_str(e.doc, e.o, S("disconnectReason"), str_c(leave_name(why)));
    yyjson_mut_obj_add_uint(e.doc, e.o, "versionNumber", c->session->presence - 1);
    end(&e, c, "presence/disconnected");
}

void presence_connect_failed(Client *c) {
    Event e;
    rng_fill(&c->shard->rng, c->session_id, sizeof c->session_id);
    if (!begin(&e, c, "connect_failed")) return;
    json_add_str(e.doc, e.o, S("connectFailureReason"), S("AUTHORIZATION_FAILED"));
    json_add_str(e.doc, e.o, S("ipAddress"), c->source_ip);
    end(&e, c, "presence/connect_failed");
}

void presence_subscriptions(Client *c, const char *what, const Str *filters, size_t n) {
    Event e;
    if (n == 0 || !begin(&e, c, what)) return;
    yyjson_mut_val *topics = yyjson_mut_arr(e.doc);
    for (size_t i = 0; i < n; i++) yyjson_mut_arr_append(topics, json_mut_str(e.doc, filters[i]));
    yyjson_mut_obj_add_val(e.doc, e.o, "topics", topics);
    end(&e, c, what[0] == 's' ? "subscriptions/subscribed" : "subscriptions/unsubscribed");
}
