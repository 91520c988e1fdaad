/* GetThingConnectivityData: what the broker knows of the client that acts for a thing. Fleet indexing, which AWS takes
 * it from, need not be on: the broker is here. Source: botocore's iot model; AWS IoT developer guide, "Exclusive thing"
 * and "Lifecycle events" */
#include "broker/connection.h"
#include "generated/iot.h"
#include "services/env.h"
#include "services/iot/registry.h"

/* The client of a principal that is exclusively this thing's, whatever its id; else the one named as the thing. */
static Err client_of(Call *c, Str thing, Str *out) {
    RecordScan *scan;
    ThingPrincipalRecord p;
    *out = thing;
    Err e = thing_principal_record_scan_of_thing_name(c->txn, call_tenant(c), thing, STR_NONE, false, &scan);
    if (e != OK) return e;
    bool found = false;
    while (!found && thing_principal_record_next(scan, c->arena, &p)) {
        if (!str_eq(p.thing_principal_type, S("EXCLUSIVE_THING"))) continue;
        Str id = p.principal;
        while (str_find(id, '/') != SIZE_MAX) str_cut(&id, '/');
        found = broker_client_of(c->env->broker, c->account, id, c->arena, out);
    }
    return record_scan_end(scan);
}

static OptInt known(int64_t v) {
    return (OptInt){ v != 0, v };
}

static void fill(const BrokerConnection *x, bool sockets, IotGetThingConnectivityDataOut *out) {
    out->connected = (OptBool){ true, x->connected };
    out->timestamp = known(x->connected ? x->connected_ms : x->disconnected_ms);
    if (!x->connected) out->disconnect_reason = x->disconnect_reason;
    out->keep_alive_duration = known(x->keepalive_s);
    out->clean_session = (OptBool){ true, x->clean_session };
    out->session_expiry = (OptInt){ true, x->session_expiry_s };
    if (!sockets || !x->connected) return;
    out->source_ip = x->source_ip;
    out->source_port = known(x->source_port);
    out->target_ip = x->target_ip;
    out->target_port = known(x->target_port);
}

/* One that never connected, or of which nothing is remembered, is not connected; more is not known. */
Err iot_get_thing_connectivity_data(Call *c, const IotGetThingConnectivityDataIn *in,
                                    IotGetThingConnectivityDataOut *out) {
    ThingRecord t;
    Str client = STR_NONE;
    BrokerConnection x;
    Err e = thing_need(c, in->thing_name, &t);
    if (e == OK) e = client_of(c, in->thing_name, &client);
    if (e != OK) return e;
    out->thing_name = in->thing_name;
    out->connected = (OptBool){ true, false };
    e = broker_connection(c->env->broker, c->account, client, c->arena, &x);
    if (e == ERR_NOT_FOUND) return OK;
    if (e != OK) return e;
    out->client_id = client;
    fill(&x, in->include_socket_information.v, out);
    return OK;
}
