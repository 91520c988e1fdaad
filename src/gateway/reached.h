/* Reached: which operations a run of tests called, and how they were answered, for tools/reached.py. Only with
 * --test-reached. */
#pragma once

#include "api/request.h"
#include "api/op.h"

typedef struct Reached Reached;

/* Appends to the file, which several servers may share. Errors: ERR_IO */
NODISCARD Err reached_open(const char *file, Reached **out);
void reached_close(Reached *r); /* accepts NULL */
/* error NULL: it succeeded. Each combination is one line, once: service, operation, OK or the error, whose client.
 * Any thread; accepts NULL for r. */
void reached_note(Reached *r, const ApiOp *op, const ApiError *error, const ApiRequest *rq);
