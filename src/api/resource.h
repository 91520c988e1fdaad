/* Resources: the plain create, describe, list, update and delete of what models/NAME.resource declares. The tables are
 * made by tools/generate_resources.py, so are the handlers that hand them to these functions. Which member is which
 * field is data; so are ARN, errors, idempotency, versions, times, pages. A step's own part is a hook.
 * Never knows which service it works for. */
#pragma once

#include "api/call.h"
#include "api/op.h"

enum { RESOURCE_DEPTH_MAX = 4, RESOURCE_NONE = -1, RESOURCE_ARN = -2, RESOURCE_ACCOUNT = -3 };

/* One member that is a field. */
typedef struct {
    uint8_t path[RESOURCE_DEPTH_MAX]; /* indexes of members, from the operation's struct inwards */
    uint8_t depth;
    bool optional; /* left out of answers when zero or empty */
    int16_t field; /* parts of the record's key first, then its fields; or RESOURCE_ARN, RESOURCE_ACCOUNT */
} ResourceLink;
typedef struct {
    const ResourceLink *items;
    size_t n;
} ResourceLinks;

typedef enum { RESOURCE_SET_UUID, RESOURCE_SET_TEXT, RESOURCE_SET_NUMBER, RESOURCE_SET_ACCOUNT } ResourceSetKind;
/* What a field is when it is created and the request says nothing. */
typedef struct {
    int16_t field;
    uint8_t kind; /* ResourceSetKind */
    Str text;
    int64_t number;
} ResourceSet;

typedef struct {
    int16_t op; /* of the service; RESOURCE_NONE: there is no such operation */
    ResourceLinks in, out;
    int16_t expected; /* the input's member that a version must equal */
} ResourceStep;

typedef struct {
    int16_t op;
    ResourceLinks filters, prefixes; /* of the input: what the field is, what it begins with */
    ResourceLinks item;              /* of an element of the list */
    int16_t token, size, order;      /* members of the input; order: true is ascending */
    int16_t next, items;             /* of the output */
    unsigned index;                  /* 0: by key; else the record's index that is walked */
    uint16_t page_default, page_max;
} ResourceList;

/* Each may be NULL. They may fail the call; what they change in `record` is stored, in `out` answered. */
typedef struct {
    Err (*before)(Call *c); /* of every step but create */
    Err (*creating)(Call *c, const void *in, void *record);
    Err (*updating)(Call *c, const void *in, const void *old, void *record);
    Err (*deleting)(Call *c, const void *in, const void *record);
    Err (*changed)(Call *c, const void *old, const void *record); /* NULL: was not there, is no more */
    Err (*created)(Call *c, const void *record, void *out);
    Err (*described)(Call *c, const void *record, void *out);
    Err (*updated)(Call *c, const void *record, void *out);
    Err (*listing)(Call *c, const void *in);
    Err (*fits)(Call *c, const void *in, const void *record, bool *out);
    Err (*listed)(Call *c, const void *record, void *item);
} ResourceHooks;

typedef struct Resource {
    const ApiService *service;
    const RecordType *record;
    Str noun;          /* "billing group" */
    Str arn;           /* what follows the account: "billinggroup/{billing_group_name}" */
    bool same_again;   /* created again with the same settings: succeeds, and changes nothing */
    bool own_key;      /* its key is made here, so that nothing is created twice */
    bool gone_is_fine; /* deleting what is not there succeeds: the model declares no error for it */
    uint32_t most;     /* an account and region may have; 0: no limit */
    int16_t id, version, created, modified, tags; /* fields */
    const ResourceSet *sets;
    size_t sets_n;
    const ApiError *missing, *exists, *conflict, *too_many;
    Str missing_text, exists_text, too_many_text; /* {} is the name */
    ResourceStep create, read, update, remove;
    ResourceList list;
    ResourceHooks hooks;
} Resource;

/* in and out: the generated structs of the step's operation. Errors: ERR_API, and the store's */
NODISCARD Err resource_create(Call *c, const Resource *r, const void *in, void *out);
NODISCARD Err resource_read(Call *c, const Resource *r, const void *in, void *out);
NODISCARD Err resource_update(Call *c, const Resource *r, const void *in, void *out);
NODISCARD Err resource_delete(Call *c, const Resource *r, const void *in);
NODISCARD Err resource_list(Call *c, const Resource *r, const void *in, void *out);

/* The record of a key; key is a record of which only the key's members are looked at.
 * Errors: ERR_API: the resource's error for one that is not there */
NODISCARD Err resource_need(Call *c, const Resource *r, const void *key, void *out);
/* Of a record. Owns: the call's arena */
Str resource_arn(Call *c, const Resource *r, const void *record);
/* The key that an ARN names, of the call's account and region.
 * Shape:  sets the key's members of *key, a zeroed record
 * Errors: ERR_NOT_FOUND: the ARN is another's */
NODISCARD Err resource_key_from_arn(Call *c, const Resource *r, Str arn, void *key);
