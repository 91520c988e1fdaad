#include "api/page.h"

#include "api/error.h"
#include "base/encode.h"
#include "base/writer.h"

/* version byte, 8 bytes of a hash over scope and key, the key. The hash is no secret: a token grants nothing, and
 * whoever builds one by hand only chooses where the own list goes on. */

enum { TOKEN_VERSION = 1, TOKEN_HEAD = 9 };

static uint64_t check_of(Arena *a, Str scope, Str key) {
    return str_hash(str_format(a, "%zu:%.*s%.*s", scope.len, PS(scope), PS(key)));
}

Str page_token(Arena *a, Str scope, Str last_key) {
    Writer w = writer_in(a);
    writer_u8(&w, TOKEN_VERSION);
    writer_u64(&w, check_of(a, scope, last_key));
    writer_bytes(&w, last_key);
    return base64_encode(a, writer_str(&w));
}

Err page_token_read(Arena *a, Str scope, Str token, Str *last_key) {
    if (!token.len) {
        *last_key = STR_NONE;
        return OK;
    }
    Str bytes;
    if (base64_decode(a, token, &bytes) != OK || bytes.len < TOKEN_HEAD || bytes.ptr[0] != TOKEN_VERSION)
        return ERR_INVALID;
    Str key = str_from(bytes, TOKEN_HEAD);
    uint64_t check = 0;
    for (size_t i = 1; i < TOKEN_HEAD; i++) check = check << 8 | bytes.ptr[i];
    if (check != check_of(a, scope, key)) return ERR_INVALID;
    *last_key = key;
    return OK;
}

static Str scope_of(Call *c, Str filters) {
    return str_format(c->arena, "%.*s/%.*s/%.*s/%.*s", PS(c->op->name), PS(c->account), PS(c->region), PS(filters));
}

static Err begin(Call *c, Str filters, Str token, Str *last_key) {
    Err e = page_token_read(c->arena, scope_of(c, filters), token, last_key);
    if (e == OK) return OK;
    const ApiError *invalid = c->op->service->invalid;
    return api_fail(c, invalid ? invalid : API_VALIDATION,
                    "Invalid next token '%.*s': give the one that the page before ended with",
                    PS(str_sub(token, 0, 64)));
}

/* asked, or `otherwise` where nothing is asked, within 1 and most. */
static size_t size_of(OptInt asked, size_t otherwise, size_t most) {
    if (!asked.set) return otherwise < most ? otherwise : most;
    if (asked.v < 1) return 1;
    return (uint64_t)asked.v > most ? most : (size_t)asked.v;
}

Err page_open(Call *c, Str filters, Str token, OptInt asked, PageSize size, Page *out) {
    Page p = { .call = c, .filters = filters, .most = size_of(asked, size.otherwise, size.most) };
    Err e = begin(c, filters, token, &p.after);
    if (e == OK) *out = p;
    return e;
}

static bool is_full(Page *p) {
    if (p->n == p->most) p->next = page_token(p->call->arena, scope_of(p->call, p->filters), p->last);
    return p->n == p->most;
}

bool page_take(Page *p, RecordScan *scan) {
    if (is_full(p)) return false;
    if (++p->n == p->most) p->last = record_scan_position(scan, p->call->arena);
    return true;
}

bool page_take_at(Page *p, Str position) {
    if (is_full(p)) return false;
    if (++p->n == p->most) p->last = str_dup(p->call->arena, position);
    return true;
}
