#include "api/resource_link.h"
#include "base/writer.h"

/* An ARN's form is text with fields in braces. Reading one back gives the key's parts; whoever has the record then
 * writes its ARN anew and compares, which covers fields that are no part of the key. */

static const RecordField *field_named(const RecordType *type, Str name) {
    for (size_t i = 0; i < type->key_count + type->field_count; i++) {
        const RecordField *f = resource_field(type, (int16_t)i);
        if (str_eq(str_c(f->name), name)) return f;
    }
    return NULL;
}

/* Cuts text up to the next brace off the form, then the name inside of it (STR_NONE: the form ends). */
static Str next_piece(Str *form, Str *name) {
    size_t open = str_find(*form, '{');
    Str before = str_sub(*form, 0, open);
    *name = STR_NONE;
    if (open != SIZE_MAX) {
        Str rest = str_from(*form, open + 1);
        *name = str_cut(&rest, '}');
        *form = rest;
    }
    return before;
}

Str resource_arn(Call *c, const Resource *r, const void *record) {
    Writer w = writer_in(c->arena);
    writer_bytes(&w, call_arn(c, str_dup_c(c->arena, r->service->action), "%s", ""));
    Str form = r->arn, name;
    do {
        writer_bytes(&w, next_piece(&form, &name));
        const RecordField *f = name.ptr ? field_named(r->record, name) : NULL;
        if (!f) continue;
        const void *at = (const char *)record + f->offset;
        writer_bytes(&w, f->kind == FIELD_INT ? str_format(c->arena, "%lld", (long long)*(const int64_t *)at)
                                              : *(const Str *)at);
    } while (name.ptr && form.len);
    return writer_str(&w);
}

static Err take_part(const RecordField *f, Str text, void *key) {
    void *at = (char *)key + f->offset;
    if (!text.len) return ERR_NOT_FOUND;
    if (f->kind == FIELD_INT) return str_to_i64(text, at) == OK ? OK : ERR_NOT_FOUND;
    *(Str *)at = text;
    return OK;
}

Err resource_key_from_arn(Call *c, const Resource *r, Str arn, void *key) {
    Str prefix = call_arn(c, str_dup_c(c->arena, r->service->action), "%s", "");
    if (!str_starts(arn, prefix)) return ERR_NOT_FOUND;
    Str rest = str_from(arn, prefix.len), form = r->arn, name;
    Str literal = next_piece(&form, &name);
    for (;;) {
        if (!str_starts(rest, literal)) return ERR_NOT_FOUND;
        rest = str_from(rest, literal.len);
        if (!name.ptr) return rest.len ? ERR_NOT_FOUND : OK;
        const RecordField *f = field_named(r->record, name);
        literal = next_piece(&form, &name);
        size_t end = literal.len ? str_find_str(rest, literal) : rest.len;
        if (end == SIZE_MAX || !f) return ERR_NOT_FOUND;
        Err e = f->tag ? OK : take_part(f, str_sub(rest, 0, end), key);
        if (e != OK) return e;
        rest = str_from(rest, end);
    }
}
