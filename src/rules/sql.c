#include "rules/sql.h"

static const Str NAMES[] = { STR_INIT("2015-10-08"), STR_INIT("2016-03-23"), STR_INIT("beta") };

Err sql_version_parse(Str text, SqlVersion *out) {
    if (text.len == 0) {
        *out = SQL_2015_10_08;
        return OK;
    }
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (!str_eq(text, NAMES[i])) continue;
        *out = (SqlVersion)i;
        return OK;
    }
    return ERR_INVALID;
}

Str sql_version_name(SqlVersion v) {
    return NAMES[v];
}
