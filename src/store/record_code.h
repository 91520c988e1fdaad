/* How records are written as bytes; inside of records, and for their tests. Pure. */
#pragma once

#include "base/writer.h"
#include "store/record.h"

/* account, region, tag and number (0: the record itself). */
void record_key_begin(Writer *w, const RecordType *type, Tenant tenant, unsigned number);
void record_key_part(Writer *w, const RecordField *field, const void *record);
/* Errors: ERR_NOT_FOUND: another type's, or an index entry; ERR_CORRUPT. Sets the key's members of out. */
NODISCARD Err record_key_read(const RecordType *type, Str key, unsigned number, Arena *arena, Tenant *tenant,
                              void *out);

Str record_encode(const RecordType *type, const void *record, Arena *arena);
/* Sets every member but the key's; text is borrowed from value. Errors: ERR_CORRUPT (out is undefined then) */
NODISCARD Err record_decode(const RecordType *type, Str value, Arena *arena, void *out);
