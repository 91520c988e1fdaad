/* The output side of a Conn: segments gathered in a turn, written once. Inside net/ only. */
#pragma once

#include "net/conn.h"

void output_mark(Conn *c);     /* this turn's flush will look at it */
void output_continue(Conn *c); /* the socket takes more */
void output_drop(Conn *c);
void conn_want_write(Conn *c, bool on);
/* Sends what the socket takes, keeps the rest. */
void output_send(Conn *c, const uint8_t *bytes, size_t len);
