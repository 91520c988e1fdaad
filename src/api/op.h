/* Operations as data: what a service's model says, in the form that codec and routes walk.
 * The tables are generated from models/ and constant; the types of members are here, too. */
#pragma once

#include "base/list.h"

typedef struct Call Call;
typedef struct ApiShape ApiShape;
typedef struct ApiOp ApiOp;
typedef struct ApiService ApiService;

/* How each kind of value stands in the generated structs. Absent is all zeros:
 * a Str without ptr, a NULL structure, `set` false. */
typedef struct {
    bool set;
    int64_t v; /* a timestamp: milliseconds since 1970, UTC */
} OptInt;
typedef struct {
    bool set;
    bool v;
} OptBool;
typedef struct {
    bool set;
    double v;
} OptDouble;
/* Every list and map begins so; items points to elements of its member's kind. */
typedef struct {
    void *items;
    size_t n;
    bool set;
} ApiItems;
typedef struct {
    OptInt *items;
    size_t n;
    bool set;
} IntList;
typedef struct {
    OptDouble *items;
    size_t n;
    bool set;
} DoubleList;

typedef enum {
    API_STR,    /* Str */
    API_ENUM,   /* Str, one of values */
    API_BLOB,   /* Str; base64 in JSON */
    API_DOC,    /* Str: any JSON value as its text */
    API_INT,    /* OptInt */
    API_TIME,   /* OptInt */
    API_BOOL,   /* OptBool */
    API_DOUBLE, /* OptDouble */
    API_LIST,   /* ApiItems */
    API_MAP,    /* ApiItems of entries that begin with the key's Str */
    API_STRUCT, /* a pointer as a member, the struct itself as an element */
} ApiKind;

typedef enum { API_TIME_DEFAULT, API_TIME_UNIX, API_TIME_ISO8601, API_TIME_RFC822 } ApiTimeFormat;

typedef enum {
    API_IN_BODY,
    API_IN_PATH,
    API_IN_QUERY, /* a list: the key again for each element; a map: every other key */
    API_IN_HEADER,
    API_IN_HEADERS, /* a map: the headers that begin with wire */
    API_IN_STATUS,
    API_IN_PAYLOAD, /* the whole body */
} ApiWhere;

typedef struct {
    Str name; /* as AWS calls it, for messages */
    Str wire; /* as it is called where it travels */
    const ApiShape *shape;
    uint32_t offset; /* in the struct */
    uint8_t where;   /* ApiWhere */
    uint8_t time;    /* ApiTimeFormat: of this member alone */
    bool required;
    bool token; /* idempotency: made by whoever leaves it out */
    bool json;  /* a JSON value as base64 in a header */
} ApiMember;

struct ApiShape {
    Str name;
    uint8_t kind; /* ApiKind */
    uint8_t bits; /* API_INT: 32 or 64; API_DOUBLE: 32 or 64 */
    uint8_t time; /* ApiTimeFormat */
    bool secret, sparse, one_of, streaming;
    bool has_min, has_max; /* of the value of a number, else of the length */
    int64_t min, max;
    double real_min, real_max; /* API_DOUBLE */
    int32_t pattern;           /* index into the service's patterns, -1: none */
    const Str *values;         /* API_ENUM */
    size_t values_n;
    const ApiShape *member; /* of a list, values of a map */
    const ApiShape *key;
    uint32_t member_offset; /* API_MAP: of the value in an entry */
    uint32_t element_size;  /* of a list's element or a map's entry; of a struct: its own */
    const ApiMember *members;
    size_t members_n;
};

struct ApiError {
    Str name; /* "ResourceNotFoundException" */
    int status;
    Str message_member; /* "message" or "Message" */
    const Str *members; /* the others that its model has */
    size_t members_n;
};
typedef struct ApiError ApiError;

struct ApiOp {
    Str name; /* "CreateThing" */
    const ApiService *service;
    Str method;
    Str path;  /* "/things/{thingName}", "/destinations/{arn+}" */
    Str query; /* constants in it: "type=x", mostly empty */
    Str host_prefix;
    int status;
    const ApiShape *in, *out; /* structs; out NULL: the answer has no body */
    size_t out_size;          /* of the generated output struct, which is there in any case */
    /* The handler, NULL-safe: ERR_NOT_IMPLEMENTED where nobody wrote one. in and out are the generated structs. */
    Err (*run)(Call *c, const void *in, void *out);
    bool (*handled)(void);
    const ApiError *const *errors; /* that its model declares */
    size_t errors_n;
};

typedef struct {
    const char *regexp; /* anchored, for PCRE2 */
    Str shown;          /* as AWS writes it */
} ApiPattern;

typedef enum { API_REST_JSON, API_JSON_1_0, API_JSON_1_1 } ApiProtocol;

struct ApiService {
    Str name;   /* "iot-data" */
    Str action; /* prefix of IAM actions: "iot" */
    Str target; /* json protocols: what stands before the dot in X-Amz-Target */
    Str version;
    ApiProtocol protocol;
    const Str *signing; /* names in a credential scope that mean this service, the first is its own */
    size_t signing_n;
    const ApiError *invalid; /* what a value outside its limits gives */
    const ApiError *unknown; /* what an unknown path gives; NULL: UnknownOperationException */
    const ApiOp *ops;        /* by name */
    size_t ops_n;
    const uint16_t *routes; /* indexes of ops in the order that route.c searches: by first literal segment */
    const ApiError *errors;
    size_t errors_n;
    const ApiPattern *patterns;
    size_t patterns_n;
    const ApiShape *shapes; /* every one that the model names */
    size_t shapes_n;
};

/* The operation of that name, or NULL. */
const ApiOp *api_op(const ApiService *s, Str name);
