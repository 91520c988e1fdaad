/* Pages of lists: the token is the last key that was given out, opaque and checked, so it survives restarts, and
 * what is inserted or deleted between two pages moves nothing. Pure. */
#pragma once

#include "api/call.h"
#include "api/op.h"

/* scope: what the key means (an operation's name and its filters), so that one list's token opens no other. */
Str page_token(Arena *a, Str scope, Str last_key);
/* Shape:  *last_key = STR_NONE for an absent or empty token: the first page
 * Errors: ERR_INVALID: not made by page_token for this scope */
NODISCARD Err page_token_read(Arena *a, Str scope, Str token, Str *last_key);

/* A page being filled:
 *
 *   Page page;
 *   Err e = page_open(c, filters, in->next_token, in->max_results, (PageSize){ 100, 250 }, &page);
 *   if (e == OK) e = thing_record_scan(c->txn, call_tenant(c), page.after, false, &scan);
 *   if (e != OK) return e;
 *   IotThing *items = arena_array(c->arena, IotThing, page.most);
 *   while (thing_record_next(scan, c->arena, &t)) {
 *       if (!fits(&t)) continue;
 *       if (!page_take(&page, scan)) break;
 *       items[page.n - 1] = ...;
 *   }
 *   out->things = (IotThings){ items, page.n, true };
 *   out->next_token = page.next;
 *   return record_scan_end(scan); */
typedef struct {
    Str after;      /* where the walk goes on; STR_NONE: it begins */
    Str next;       /* the token of the page behind; STR_NONE: this is the last */
    size_t n, most; /* taken; may be taken */
    Call *call;
    Str filters, last;
} Page;

typedef struct {
    size_t otherwise, most; /* where none is asked for; at most */
} PageSize;

/* filters: what the list is asked for besides its page: a token is good for the same alone, in the same operation,
 * account and region.
 * Errors: ERR_API: the service's error for an invalid value, "Invalid next token" */
NODISCARD Err page_open(Call *c, Str filters, Str token, OptInt asked, PageSize size, Page *out);
/* The record that the scan gave last (the item at that position) is one more of the page. False: it is full, and the
 * next page begins with it. */
bool page_take(Page *p, RecordScan *scan);
bool page_take_at(Page *p, Str position);
