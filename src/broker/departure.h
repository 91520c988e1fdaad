/* Departure: a session has left this shard for another, and messages that were routed to it here may still come. They
 * are sent on to it; the other shard holds what it gets itself (session_hold) until nothing is sent on any more.
 *
 * A session has one at a time: it leaves again, or is taken over, when it has caught up. */
#pragma once

#include "broker/message.h"
#include "broker/session.h"

/* Begins the session's hold. */
Departure *departure_new(Shard *home, Session *s, Shard *to);
/* Routes made from now on know where it is. Under the space's lock, together with the change that they see. */
void departure_mark(Departure *d);
/* Goes round the shards, then ends the hold and itself. */
void departure_begin(Departure *d);
/* Of the session that has left this shard; NULL: none is under way. */
const Departure *departure_of(const Shard *home, const Session *s);
/* Whether the message's route took the session for one of the shard that it left. The topic is one of its. */
bool departure_after(const Departure *d, const Message *m);
/* … or so for any that is under way, whatever its topics. */
bool departures_after(const Shard *home, const Message *m);
void departures_free(Shard *home); /* when the broker ends */
