/* The rules engine as the server has it: what it gets, its log lines and its figures. */
#pragma once

#include "base/writer.h"
#include "server/wire.h"

void open_rules(Server *s);    /* before the broker, which gets its hook */
void connect_rules(Server *s); /* after all that actions reach is there */

enum { RULE_FIGURES = 13 };
size_t rules_server_figures(Server *s, AdminFigure *out); /* room for RULE_FIGURES */
void rules_write_metrics(Server *s, Writer *w);           /* one line a rule and figure */
