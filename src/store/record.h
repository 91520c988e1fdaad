/* Records: typed structs in the store, as models/NAME.store declares them. Services use the functions that are
 * generated for each record (generated/NAME_records.h); these walk its table.
 * A record's key: account, region, the record's tag, 0, the key's parts. An index entry's: account, region, tag,
 * the index's number, the indexed parts, the key's parts. Written so that byte order is the order of the parts. */
#pragma once

#include "base/list.h"
#include "store/store.h"

typedef struct {
    Str account, region;
} Tenant;

typedef enum { FIELD_STR, FIELD_BYTES, FIELD_INT, FIELD_DOUBLE, FIELD_BOOL, FIELD_LIST, FIELD_MAP } FieldKind;

typedef struct {
    const char *name;
    uint16_t tag; /* permanent; 0: a part of the key, not in the value */
    uint16_t offset;
    uint8_t kind; /* FieldKind; a key's and an index's parts: STR, BYTES, INT or BOOL */
} RecordField;

typedef struct {
    const char *name;
    uint8_t number; /* permanent, from 1 */
    uint8_t part_count;
    const RecordField *const *parts;
} RecordIndex;

typedef struct {
    const char *name;
    Str tag; /* permanent */
    size_t size_bytes, unknown_offset;
    const RecordField *key, *fields; /* fields: by tag */
    size_t key_count, field_count;
    const RecordIndex *indexes;
    size_t index_count;
} RecordType;

/* Where a function takes `key`, it is a record of which only the key's members are looked at.
 * A field that is not stored is zero. What is read lives in the arena. Fields that this definition does not
 * know (a newer one wrote them) are in the record's `unknown` and written back with it.
 * Errors: ERR_CORRUPT where stored bytes do not decode */
NODISCARD Err record_get(Txn *txn, const RecordType *type, Tenant tenant, const void *key, Arena *arena, void *out);
NODISCARD Err record_peek(Txn *txn, const RecordType *type, Tenant tenant, const void *key, Arena *arena, void *out);
NODISCARD Err record_insert(Txn *txn, const RecordType *type, Tenant tenant, const void *record); /* ERR_EXISTS */
NODISCARD Err record_put(Txn *txn, const RecordType *type, Tenant tenant, const void *record);    /* or replace */
NODISCARD Err record_delete(Txn *txn, const RecordType *type, Tenant tenant, const void *key);    /* ERR_NOT_FOUND */
NODISCARD Err record_lock(Txn *txn, const RecordType *type, Tenant tenant, const void *key);

/* Walks records in the order of their keys, or of an index; those whose first `part_count` parts equal those in
 * `parts`. after: a position to go on behind (before, when backwards); STR_NONE: from the start. A position is
 * opaque, good for a page token: one that is foreign or made up cannot leave the range.
 * Shape: number 0: by key; else an index's */
typedef struct RecordScan RecordScan;
NODISCARD Err record_scan_begin(Txn *txn, const RecordType *type, Tenant tenant, unsigned number, const void *parts,
                                size_t part_count, Str after, bool backwards, RecordScan **out);
bool record_scan_next(RecordScan *scan, Arena *arena, void *out);
Str record_scan_position(const RecordScan *scan, Arena *arena); /* of the record that was given last */
NODISCARD Err record_scan_end(RecordScan *scan);                /* Errors: what stopped it early */
/* The position of a key in a walk by key. */
Str record_position(const RecordType *type, const void *key, Arena *arena);

/* For the change log: reads what store_changes gave. value.ptr NULL (deleted): only the key's members are set.
 * Errors: ERR_NOT_FOUND when key is not this type's; ERR_CORRUPT */
NODISCARD Err record_from_change(const RecordType *type, Str key, Str value, Arena *arena, Tenant *tenant, void *out);
