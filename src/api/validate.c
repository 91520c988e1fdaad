#include "api/validate.h"

#include "api/codec.h"
#include "api/trail.h"
#include "base/writer.h"

/* One walk over struct and table. Each constraint that does not hold adds a sentence; nothing stops the walk but
 * the count of sentences, so that a caller sees all that is wrong at once. Elements of lists and maps that are
 * plain values are reported as AWS does: once for the list, with all constraints of the element. */

typedef struct {
    Arena *arena;
    const ApiService *service;
    const ApiPatterns *patterns;
    Writer faults;
    int n;
} Check;

enum { VALUE_SHOWN = 512 };

static void check(Check *k, const ApiShape *s, const void *slot, const ApiTrail *trail);

/* Values as Java shows them: [a, b] and {k=v}. Source: aws/aws-sdk-java issue 666 */
static void show(Check *k, Writer *w, const ApiShape *s, const void *slot) {
    const ApiItems *items = slot;
    if (w->len > VALUE_SHOWN) return;
    switch ((ApiKind)s->kind) {
    case API_STR:
    case API_ENUM:
    case API_DOC: writer_bytes(w, *(const Str *)slot); break;
    case API_BLOB: writer_format(w, "%zu bytes", ((const Str *)slot)->len); break;
    case API_LIST:
        writer_u8(w, '[');
        for (size_t i = 0; i < items->n && w->len <= VALUE_SHOWN; i++) {
            writer_bytes(w, i ? S(", ") : S(""));
            show(k, w, s->member, (const char *)items->items + i * s->element_size);
        }
        writer_u8(w, ']');
        break;
    case API_MAP:
        writer_u8(w, '{');
        for (size_t i = 0; i < items->n && w->len <= VALUE_SHOWN; i++) {
            const char *entry = (const char *)items->items + i * s->element_size;
            writer_format(w, "%s%.*s=", i ? ", " : "", PS(*(const Str *)(const void *)entry));
            show(k, w, s->member, entry + s->member_offset);
        }
        writer_u8(w, '}');
        break;
    case API_STRUCT: writer_bytes(w, s->name); break;
    default: writer_bytes(w, api_encode_text(k->arena, s, API_TIME_ISO8601, slot)); break;
    }
}

static Str shown(Check *k, const ApiShape *s, const void *slot) {
    if (s->secret || ((s->kind == API_LIST || s->kind == API_MAP) && s->member->secret)) return STR_NONE;
    Writer w = writer_in(k->arena);
    show(k, &w, s, slot);
    Str text = writer_str(&w);
    if (text.len <= VALUE_SHOWN) return text;
    size_t n = VALUE_SHOWN;
    while (n && (text.ptr[n] & 0xC0) == 0x80) n--; /* not within a character */
    return str_format(k->arena, "%.*s...", (int)n, (const char *)text.ptr);
}

static void fault(Check *k, const ApiShape *s, const void *slot, const ApiTrail *trail, Str constraint) {
    if (k->n >= API_FAULTS_MAX) return;
    writer_bytes(&k->faults, k->n++ ? S("; ") : S(""));
    Str value = slot ? shown(k, s, slot) : STR_NONE;
    if (!slot)
        writer_bytes(&k->faults, S("Value null"));
    else if (value.ptr)
        writer_format(&k->faults, "Value '%.*s'", PS(value));
    else
        writer_bytes(&k->faults, S("Value"));
    writer_format(&k->faults, " at '%.*s' failed to satisfy constraint: %.*s", PS(api_trail(k->arena, trail)),
                  PS(constraint));
}

static Str limit_text(Check *k, const ApiShape *s, bool max) {
    const char *what = s->kind == API_INT || s->kind == API_DOUBLE ? "value" : "length";
    const char *than = max ? "less" : "greater";
    if (s->kind == API_DOUBLE)
        return str_format(k->arena, "Member must have %s %s than or equal to %g", what, than,
                          max ? s->real_max : s->real_min);
    return str_format(k->arena, "Member must have %s %s than or equal to %lld", what, than,
                      (long long)(max ? s->max : s->min));
}

static Str pattern_text(Check *k, const ApiShape *s) {
    return str_format(k->arena, "Member must satisfy regular expression pattern: %.*s",
                      PS(k->service->patterns[s->pattern].shown));
}

static Str enum_text(Check *k, const ApiShape *s) {
    Writer w = writer_in(k->arena);
    writer_bytes(&w, S("Member must satisfy enum value set: ["));
    for (size_t i = 0; i < s->values_n; i++) writer_format(&w, "%s%.*s", i ? ", " : "", PS(s->values[i]));
    writer_u8(&w, ']');
    return writer_str(&w);
}

static bool in_enum(const ApiShape *s, Str v) {
    for (size_t i = 0; i < s->values_n; i++)
        if (str_eq(s->values[i], v)) return true;
    return false;
}

static bool pattern_holds(const Check *k, const ApiShape *s, Str v) {
    return s->pattern < 0 || !k->patterns || api_pattern_matches(k->patterns, k->service, s->pattern, v);
}

static bool limit_holds(const ApiShape *s, const void *slot, bool max) {
    if (!(max ? s->has_max : s->has_min)) return true;
    int64_t v;
    switch ((ApiKind)s->kind) {
    case API_STR: v = (int64_t)str_code_points(*(const Str *)slot); break;
    case API_BLOB: v = (int64_t)((const Str *)slot)->len; break;
    case API_INT: v = ((const OptInt *)slot)->v; break;
    case API_DOUBLE:
        return max ? ((const OptDouble *)slot)->v <= s->real_max : ((const OptDouble *)slot)->v >= s->real_min;
    case API_LIST:
    case API_MAP: v = (int64_t)((const ApiItems *)slot)->n; break;
    default: return true;
    }
    return max ? v <= s->max : v >= s->min;
}

/* Of a value alone, not of what it holds. */
static bool holds(const Check *k, const ApiShape *s, const void *slot) {
    if (s->kind == API_ENUM) return in_enum(s, *(const Str *)slot);
    if (s->kind == API_STR && !pattern_holds(k, s, *(const Str *)slot)) return false;
    return limit_holds(s, slot, true) && limit_holds(s, slot, false);
}

/* "[Member must have length less than or equal to 128, …]": all that the shape asks for. */
static Str all_constraints(Check *k, const ApiShape *s) {
    Writer w = writer_in(k->arena);
    const char *comma = "";
    writer_u8(&w, '[');
    if (s->kind == API_ENUM) {
        writer_bytes(&w, enum_text(k, s));
        comma = ", ";
    }
    for (int max = 1; max >= 0; max--) {
        if (!(max ? s->has_max : s->has_min)) continue;
        writer_format(&w, "%s%.*s", comma, PS(limit_text(k, s, max)));
        comma = ", ";
    }
    if (s->pattern >= 0) writer_format(&w, "%s%.*s", comma, PS(pattern_text(k, s)));
    writer_u8(&w, ']');
    return writer_str(&w);
}

static void check_value(Check *k, const ApiShape *s, const void *slot, const ApiTrail *trail) {
    if (s->kind == API_ENUM && !in_enum(s, *(const Str *)slot)) fault(k, s, slot, trail, enum_text(k, s));
    if (s->kind == API_STR && !pattern_holds(k, s, *(const Str *)slot)) fault(k, s, slot, trail, pattern_text(k, s));
    if (!limit_holds(s, slot, true)) fault(k, s, slot, trail, limit_text(k, s, true));
    if (!limit_holds(s, slot, false)) fault(k, s, slot, trail, limit_text(k, s, false));
}

static bool is_plain(const ApiShape *s) {
    return s->kind != API_LIST && s->kind != API_MAP && s->kind != API_STRUCT;
}

static void check_list(Check *k, const ApiShape *s, const ApiItems *list, const ApiTrail *trail) {
    check_value(k, s, list, trail);
    bool reported = false;
    for (size_t i = 0; i < list->n && k->n < API_FAULTS_MAX; i++) {
        const char *item = (const char *)list->items + i * s->element_size;
        ApiTrail here = { .up = trail, .index = i };
        if (!is_plain(s->member)) {
            check(k, s->member, item, &here);
        } else if (!api_present(s->member, item)) {
            if (!s->sparse) fault(k, s->member, NULL, &here, S("Member must not be null"));
        } else if (!reported && !holds(k, s->member, item)) {
            reported = true;
            fault(k, s, list, trail,
                  str_format(k->arena, "Member must satisfy constraint: %.*s", PS(all_constraints(k, s->member))));
        }
    }
}

static void check_map(Check *k, const ApiShape *s, const ApiItems *map, const ApiTrail *trail) {
    check_value(k, s, map, trail);
    bool key_reported = false, value_reported = false;
    for (size_t i = 0; i < map->n && k->n < API_FAULTS_MAX; i++) {
        const char *entry = (const char *)map->items + i * s->element_size, *value = entry + s->member_offset;
        Str key = *(const Str *)(const void *)entry;
        ApiTrail here = { .up = trail, .name = key.ptr ? key : S(""), .key = true };
        if (!key_reported && !holds(k, s->key, entry)) {
            key_reported = true;
            fault(k, s, map, trail,
                  str_format(k->arena, "Map keys must satisfy constraint: %.*s", PS(all_constraints(k, s->key))));
        }
        if (!is_plain(s->member)) {
            check(k, s->member, value, &here);
        } else if (!api_present(s->member, value)) {
            if (!s->sparse) fault(k, s->member, NULL, &here, S("Member must not be null"));
        } else if (!value_reported && !holds(k, s->member, value)) {
            value_reported = true;
            fault(k, s, map, trail,
                  str_format(k->arena, "Map value must satisfy constraint: %.*s", PS(all_constraints(k, s->member))));
        }
    }
}

static void check_struct(Check *k, const ApiShape *s, const void *in, const ApiTrail *trail) {
    size_t there = 0;
    for (size_t i = 0; i < s->members_n; i++) {
        const ApiMember *m = &s->members[i];
        const void *slot = (const char *)in + m->offset;
        ApiTrail here = { .up = trail, .name = m->name };
        if (!api_present(m->shape, slot)) {
            if (m->required) fault(k, m->shape, NULL, &here, S("Member must not be null"));
            continue;
        }
        there++;
        check(k, m->shape, m->shape->kind == API_STRUCT ? *(void *const *)slot : slot, &here);
    }
    if (s->one_of && there != 1) fault(k, s, in, trail, S("Exactly one of its members must be set"));
}

static void check(Check *k, const ApiShape *s, const void *slot, const ApiTrail *trail) {
    switch ((ApiKind)s->kind) {
    case API_LIST: check_list(k, s, slot, trail); break;
    case API_MAP: check_map(k, s, slot, trail); break;
    case API_STRUCT: check_struct(k, s, slot, trail); break;
    default: check_value(k, s, slot, trail); break;
    }
}

Err api_validate(Arena *a, const ApiService *service, const ApiPatterns *patterns, const ApiShape *shape,
                 const void *in, Str *why) {
    Check k = { .arena = a, .service = service, .patterns = patterns, .faults = writer_in(a) };
    check_struct(&k, shape, in, NULL);
    if (k.n == 0) return OK;
    *why = str_format(a, "%d validation error%s detected: %.*s", k.n, k.n == 1 ? "" : "s", PS(writer_str(&k.faults)));
    return ERR_INVALID;
}
