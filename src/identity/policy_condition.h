/* Condition: one line of a statement's Condition block, an operator over one key. */
#pragma once

#include "identity/policy_template.h"

typedef struct ConditionOp ConditionOp;

typedef enum { CONDITION_ONE, CONDITION_FOR_ALL, CONDITION_FOR_ANY } ConditionSet;

typedef struct {
    const ConditionOp *op;
    ConditionSet set;
    bool if_exists;
    bool deny; /* of its statement */
    Str label; /* as written: "ForAnyValue:StringEquals iot:ConnectAttributes" */
    Str key;
    const Template *values;
    size_t n;
} Condition;

/* Reads the operator's name into *c; the caller fills the rest. Errors: ERR_INVALID for an unknown one */
NODISCARD Err condition_parse_op(Str name, Condition *c);
/* Reads one value. Errors: ERR_INVALID, *reason then says why */
NODISCARD Err condition_parse_value(const Condition *c, Str text, bool variables, Arena *arena, Template *out,
                                    Str *reason);

bool condition_holds(const Condition *c, const PolicyScope *scope, Arena *arena);
/* True when all that it refers to has a value, so that what is asked later cannot change it. */
bool condition_is_settled(const Condition *c, const PolicyScope *scope);
/* The first variable of its values that has none, or STR_NONE. */
Str condition_missing(const Condition *c, const PolicyScope *scope);
