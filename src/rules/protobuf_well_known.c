#include "rules/protobuf_well_known.h"

#include "expr/calendar.h"

enum { DAY_S = 86400, NANOS = 1000000000 };
/* 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z; ten thousand years */
#define SECONDS_MIN INT64_C(-62135596800)
#define SECONDS_MAX INT64_C(253402300799)
#define SPAN_S_MAX INT64_C(315576000000)

static const Str PACKAGE = STR_INIT("google.protobuf.");

static int64_t number_of(const ExprValue *message, Str member) {
    ExprValue v;
    int64_t n = 0;
    expr_member(message, member, false, &v);
    if (v.type == EXPR_INT) return (int64_t)v.i;
    return v.type == EXPR_STRING && str_to_i64(v.s, &n) == OK ? n : 0; /* 64 bits come as text */
}

/* As many of 0, 3, 6 or 9 digits as it takes. */
static Str fraction(Arena *arena, int64_t nanos) {
    if (nanos == 0) return S("");
    if (nanos % 1000000 == 0) return str_format(arena, ".%03lld", (long long)nanos / 1000000);
    if (nanos % 1000 == 0) return str_format(arena, ".%06lld", (long long)nanos / 1000);
    return str_format(arena, ".%09lld", (long long)nanos);
}

static Err timestamp(ExprRun *run, const ExprValue *plain, ExprValue *out, Str *why) {
    int64_t seconds = number_of(plain, S("seconds")), nanos = number_of(plain, S("nanos"));
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos >= NANOS) {
        *why = S("a Timestamp is not of the years 1 to 9999");
        return ERR_MALFORMED;
    }
    int64_t days = floor_div(seconds, DAY_S), rest = seconds - days * DAY_S;
    Date d = date_of(days);
    Str f = fraction(run->arena, nanos);
    *out = expr_string(str_format(run->arena, "%04lld-%02d-%02dT%02d:%02d:%02d%.*sZ", (long long)d.year, d.month, d.day,
                                  (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), PS(f)));
    return OK;
}

static Err duration(ExprRun *run, const ExprValue *plain, ExprValue *out, Str *why) {
    int64_t seconds = number_of(plain, S("seconds")), nanos = number_of(plain, S("nanos"));
    bool negative = seconds < 0 || nanos < 0;
    if (seconds < -SPAN_S_MAX || seconds > SPAN_S_MAX || nanos <= -NANOS || nanos >= NANOS ||
        (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) {
        *why = S("a Duration is longer than ten thousand years, or has two signs");
        return ERR_MALFORMED;
    }
    Str f = fraction(run->arena, negative ? -nanos : nanos);
    *out = expr_string(
        str_format(run->arena, "%s%lld%.*ss", negative ? "-" : "", (long long)(negative ? -seconds : seconds), PS(f)));
    return OK;
}

/* foo_bar.baz is fooBar.baz */
static Err field_mask(ExprRun *run, const ExprValue *plain, ExprValue *out, Str *why) {
    ExprValue paths;
    size_t n = 0, bytes = 1;
    expr_member(plain, S("paths"), false, &paths);
    for (ExprEach each = expr_each(&paths, false); expr_next(&each);) bytes += each.value.s.len + 1;
    uint8_t *p = expr_make(run, bytes);
    *why = S("a FieldMask is too long");
    if (!p) return ERR_LIMIT;
    for (ExprEach each = expr_each(&paths, false); expr_next(&each);) {
        bool upper = false;
        if (n) p[n++] = ',';
        for (size_t i = 0; i < each.value.s.len; i++) {
            uint8_t c = each.value.s.ptr[i];
            if (c != '_') p[n++] = upper && c >= 'a' && c <= 'z' ? c ^ 32 : c;
            upper = c == '_';
        }
    }
    *out = expr_string((Str){ p, n });
    return OK;
}

typedef enum {
    NOT_SPECIAL,
    TIMESTAMP,
    DURATION,
    FIELD_MASK,
    ANY_VALUE,
    STRUCT,
    LIST,
    INT_WRAP,
    TEXT_INT_WRAP,
    BOOL_WRAP,
    TEXT_WRAP
} Form;

static Form form_of(Str full) {
    static const struct {
        Str name;
        Form form;
    } FORMS[] = { { STR_INIT("Timestamp"), TIMESTAMP },
                  { STR_INIT("Duration"), DURATION },
                  { STR_INIT("FieldMask"), FIELD_MASK },
                  { STR_INIT("Value"), ANY_VALUE },
                  { STR_INIT("Struct"), STRUCT },
                  { STR_INIT("ListValue"), LIST },
                  { STR_INIT("DoubleValue"), INT_WRAP },
                  { STR_INIT("FloatValue"), INT_WRAP },
                  { STR_INIT("Int32Value"), INT_WRAP },
                  { STR_INIT("UInt32Value"), INT_WRAP },
                  { STR_INIT("Int64Value"), TEXT_INT_WRAP },
                  { STR_INIT("UInt64Value"), TEXT_INT_WRAP },
                  { STR_INIT("BoolValue"), BOOL_WRAP },
                  { STR_INIT("StringValue"), TEXT_WRAP },
                  { STR_INIT("BytesValue"), TEXT_WRAP } };
    Str name = str_starts(full, PACKAGE) ? str_from(full, PACKAGE.len) : STR_NONE;
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
        if (str_eq(FORMS[i].name, name)) return FORMS[i].form;
    return NOT_SPECIAL;
}

bool protobuf_is_well_known(Str name) {
    return form_of(name) != NOT_SPECIAL;
}

/* The member, or what it is where it is not set. */
static ExprValue member_or(const ExprValue *plain, Str member, ExprValue otherwise) {
    ExprValue v;
    expr_member(plain, member, false, &v);
    return v.type == EXPR_UNDEFINED ? otherwise : v;
}

/* One of its members is set; nullValue is an enum that has one value. */
static ExprValue any_value(const ExprValue *plain) {
    for (ExprEach each = expr_each(plain, false); expr_next(&each);)
        return str_eq(each.key, S("nullValue")) ? expr_null() : each.value;
    return expr_null();
}

Err protobuf_well_known(ExprRun *run, Str name, const ExprValue *plain, ExprValue *out, Str *why) {
    const ExprValue nothing = expr_members(NULL, 0), empty = expr_items(NULL, 0);
    switch (form_of(name)) {
    case TIMESTAMP: return timestamp(run, plain, out, why);
    case DURATION: return duration(run, plain, out, why);
    case FIELD_MASK: return field_mask(run, plain, out, why);
    case ANY_VALUE: *out = any_value(plain); return OK;
    case STRUCT: *out = member_or(plain, S("fields"), nothing); return OK;
    case LIST: *out = member_or(plain, S("values"), empty); return OK;
    case INT_WRAP: *out = member_or(plain, S("value"), expr_int(0)); return OK;
    case TEXT_INT_WRAP: *out = member_or(plain, S("value"), expr_string(S("0"))); return OK;
    case BOOL_WRAP: *out = member_or(plain, S("value"), expr_boolean(false)); return OK;
    case TEXT_WRAP: *out = member_or(plain, S("value"), expr_string(S(""))); return OK;
    case NOT_SPECIAL: break;
    }
    *out = *plain;
    return OK;
}
