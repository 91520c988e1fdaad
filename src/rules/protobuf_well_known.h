/* google.protobuf's types that ProtoJSON writes in a form of their own. Source: protobuf.dev, ProtoJSON Format */
#pragma once

#include "expr/run.h"

/* name: "google.protobuf.Timestamp", without a dot before it */
bool protobuf_is_well_known(Str name);

/* Shape:  *plain: the message as any other is decoded: an Object of the fields that are set
 *         *out: its form: "2026-01-02T03:04:05Z", "1.5s", the value of a wrapper, the JSON of a Struct …; Any excepted,
 *         whose bytes only the decoder can read
 * Errors: ERR_MALFORMED with *why: a moment, a span or a path that has no such form */
NODISCARD Err protobuf_well_known(ExprRun *run, Str name, const ExprValue *plain, ExprValue *out, Str *why);
