/* Destinations of rule actions: whether one may be used, from memory, and the message that asks its owner.
 * Source: AWS IoT developer guide, "Working with HTTP action destinations" */
#pragma once

#include "rules/rules.h"

/* A URL that may be confirmed and used: https with a host name on port 443 or 8443; with plain_http http and any port,
 * too. A URL with a template is looked at as far as it is constant.
 * Shape: *why a sentence, when false */
bool destination_url_ok(Str url, bool plain_http, Arena *arena, Str *why);

/* The account's destinations are read again. */
void destinations_changed(Rules *r, Str account);
/* An enabled destination whose URL the url begins with; *why says what is missing (static). */
bool destination_allows_url(Rules *r, Str account, Str url, const char **why);
bool destination_enabled(Rules *r, Str account, Str arn);
/* Sends the confirmation message. endpoint: host, or host:port, of enableUrl. One that cannot be reached gets the
 * status ERROR. */
void destination_ask(Rules *r, Str account, Str id, Str endpoint);
