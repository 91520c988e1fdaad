/* A policy document compiled: what policy_compile makes and decisions walk. Private to the engine. */
#pragma once

#include "identity/policy_condition.h"

typedef struct {
    Str id; /* its Sid */
    int index;
    bool deny, not_action, not_resource;
    const Glob *actions; /* lower case */
    size_t actions_n;
    const Template *resources;
    size_t resources_n;
    const Glob *fixed; /* the same as globs when none has a variable, else NULL */
    const Condition *conditions;
    size_t conditions_n;
} Statement;

struct Policy {
    _Atomic int refs;
    PolicyKind kind;
    bool narrows; /* allows nothing by itself: what others allow it must allow as well */
    Arena arena;  /* holds all below */
    Str name;
    const Statement *statements;
    size_t statements_n;
};

/* A statement with one principal's variables in it. */
typedef struct {
    const Policy *policy;
    const Statement *statement;
    const Glob *resources;
    size_t resources_n;
    const Template **later; /* resources with a variable that only a request may give */
    size_t later_n;
    const Condition **conditions; /* those that a request may still change */
    size_t conditions_n;
    bool never; /* a condition failed for good */
} BoundStatement;

struct PolicyBound {
    const PolicyVar *vars;
    size_t vars_n;
    const BoundStatement *statements; /* denying ones first */
    size_t n, deny_n;
    bool narrowed; /* one of the policies narrows */
};

/* action in lower case. */
bool statement_names_action(const Statement *s, Str action);
/* Whether the resource is one of the statement's (for NotResource: is none of them). */
bool bound_covers_resource(const BoundStatement *b, Str resource, const PolicyScope *scope, Arena *arena);
bool bound_conditions_hold(const BoundStatement *b, const PolicyScope *scope, Arena *arena);

/* Fills *why. Shape: as policy_decide */
void policy_why(const PolicyBound *bound, PolicyDecision decision, Str action, Str resource, const PolicyScope *scope,
                Arena *arena, PolicyWhy *why);
