/* Hold: messages for a session that has just come here from another shard, which wait until those that were routed to
 * that one have been sent on (departure.h). */
#pragma once

#include "broker/message.h"
#include "broker/session.h"

void session_hold_begin(Session *s, const Departure *d);
bool session_held_by(const Session *s, const Departure *d);
/* A message of this shard for the session: behind what is sent on to it. What was routed before it came is not. */
void session_hold(Shard *shard, Session *s, Message *m, uint8_t qos, bool retain);
bool session_takes_older(const Session *s); /* what is sent on is for it */
/* Nothing is sent on any more: those that waited go out. */
void session_caught_up(Shard *shard, Session *s);
void session_hold_forget(Session *s); /* the session ends: so do its messages */
void session_hold_drop(Session *s);   /* when the broker ends */
