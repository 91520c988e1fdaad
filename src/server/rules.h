/* The rules engine as the server has it: what it gets, its log lines and its figures. */
#pragma once

#include "base/writer.h"
#include "server/wire.h"

/* Before the broker, which gets its hook. Errors: ERR_IO with *why */
NODISCARD Err open_rules(Server *s, Str *why);
void connect_rules(Server *s); /* after all that actions reach is there */

/* GET /confirmdestination/TOKEN, unsigned: whoever got the message opens its link. */
void rules_confirm(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs);

enum { RULE_FIGURES = 13 };
size_t rules_server_figures(Server *s, AdminFigure *out); /* room for RULE_FIGURES */
void rules_write_metrics(Server *s, Writer *w);           /* one line a rule and figure */
