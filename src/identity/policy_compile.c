#include "identity/policy_compiled.h"
#include "base/json.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The document is read once, strictly: what AWS would refuse or what could be meant two ways (a member twice, a
 * misspelt one) is a fault with its line, because a policy that silently means something else is worse than none.
 * The reader's strings lie in a copy of the text at their own offsets, which is where the lines come from.
 * The compiled policy copies what it needs; the JSON is dropped.
 * Source: IAM user guide, reference_policies_grammar; texts: those of IAM and IoT seen in public trackers
 *         (e.g. aws-samples/simplerobotservice #1, terraform-aws-modules/terraform-aws-iam #603) */

enum { SID_BYTES_MAX = 256 };

typedef struct {
    Policy *policy;
    PolicyKind kind;
    Arena *arena;     /* for the fault */
    const char *text; /* the reader's copy */
    const char *here; /* the newest string in it */
    bool variables;
    PolicyFault fault;
} Compiler;

static int line_of(const Compiler *c) {
    int line = 1;
    for (const char *p = c->text; p < c->here; p++) line += *p == '\n';
    return line;
}

static NODISCARD Err fault(Compiler *c, const char *format, ...) PRINTF_LIKE(2, 3);
static Err fault(Compiler *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    c->fault = (PolicyFault){ line_of(c), str_format_v(c->arena, format, args) };
    va_end(args);
    return ERR_INVALID;
}

/* The text of v, and from now on the place of faults. */
static Str at(Compiler *c, yyjson_val *v) {
    Str s = json_str(v);
    if (s.ptr) c->here = (const char *)s.ptr;
    return s;
}

/* One value or an array of them, as a walk: i-th, NULL after the last. */
static size_t list_size(yyjson_val *v) {
    return yyjson_is_arr(v) ? yyjson_arr_size(v) : v != NULL;
}
static yyjson_val *list_first(yyjson_val *v) {
    return yyjson_is_arr(v) ? yyjson_arr_get_first(v) : v;
}

/* Members of the object into slots, in the order of names; each at most once, no other. */
static Err members(Compiler *c, yyjson_val *object, const Str *names, size_t n, yyjson_val **slots) {
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, i, max, key, value) {
        Str name = at(c, key);
        size_t k = 0;
        while (k < n && !str_eq(names[k], name)) k++;
        if (k == n) return fault(c, "Syntax errors in policy: unknown element %.*s", PS(name));
        if (slots[k]) return fault(c, "Syntax errors in policy: element %.*s is there twice", PS(name));
        slots[k] = value;
    }
    return OK;
}

static bool vendor_ok(Str action) {
    size_t colon = str_find(action, ':');
    if (colon == SIZE_MAX) return action.len == 1 && action.ptr[0] == '*';
    for (size_t i = 0; i < colon; i++) {
        uint8_t ch = action.ptr[i] | 0x20;
        if (!((ch >= 'a' && ch <= 'z') || (action.ptr[i] >= '0' && action.ptr[i] <= '9') || action.ptr[i] == '-'))
            return false;
    }
    return colon > 0 && colon + 1 < action.len;
}

static Glob action_glob(Arena *arena, Str action) {
    uint8_t *p = arena_bytes(arena, action.len);
    for (size_t i = 0; i < action.len; i++) {
        uint8_t ch = action.ptr[i];
        p[i] = ch == '*' ? GLOB_ANY : ch == '?' ? GLOB_ONE : ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch;
    }
    return glob_from((Str){ p, action.len });
}

static Err compile_actions(Compiler *c, yyjson_val *v, Statement *s) {
    size_t n = list_size(v);
    if (n == 0) return fault(c, "Policy statement must contain actions.");
    Glob *globs = arena_array(&c->policy->arena, Glob, n);
    yyjson_val *item = list_first(v);
    for (size_t i = 0; i < n; i++, item = unsafe_yyjson_get_next(item)) {
        if (!yyjson_is_str(item)) return fault(c, "Syntax errors in policy: an action must be a string");
        Str action = at(c, item);
        if (!vendor_ok(action))
            return fault(c, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: %.*s",
                         PS(action));
        globs[i] = action_glob(&c->policy->arena, action);
    }
    s->actions = globs;
    s->actions_n = n;
    return OK;
}

static Err compile_resource(Compiler *c, yyjson_val *v, Template *out) {
    if (!yyjson_is_str(v)) return fault(c, "Syntax errors in policy: a resource must be a string");
    Str text = at(c, v), reason;
    if (!str_eq(text, S("*")) && !str_starts(text, S("arn:")))
        return c->kind == POLICY_IOT ? fault(c, "The following resources are invalid : %.*s", PS(text))
                                     : fault(c, "Resource %.*s must be in ARN format or \"*\".", PS(text));
    TemplateRules rules = { .wildcards = true, .variables = c->variables };
    if (template_parse(text, rules, &c->policy->arena, out, &reason) != OK) return fault(c, "%.*s", PS(reason));
    return OK;
}

static Err compile_resources(Compiler *c, yyjson_val *v, Statement *s) {
    size_t n = list_size(v);
    if (n == 0) return fault(c, "Policy statement must contain resources.");
    Template *templates = arena_array(&c->policy->arena, Template, n);
    Glob *fixed = arena_array(&c->policy->arena, Glob, n);
    bool variable = false;
    yyjson_val *item = list_first(v);
    for (size_t i = 0; i < n; i++, item = unsafe_yyjson_get_next(item)) {
        Err e = compile_resource(c, item, &templates[i]);
        if (e != OK) return e;
        fixed[i] = templates[i].glob;
        variable |= templates[i].variable;
    }
    s->resources = templates;
    s->resources_n = n;
    s->fixed = variable ? NULL : fixed;
    return OK;
}

/* Numbers and booleans may stand for their text. */
static Str scalar(Compiler *c, yyjson_val *v) {
    if (yyjson_is_bool(v)) return yyjson_get_bool(v) ? S("true") : S("false");
    return at(c, v);
}

static Err compile_condition(Compiler *c, Str op, yyjson_val *key, yyjson_val *values, bool deny, Condition *out) {
    Arena *arena = &c->policy->arena;
    Condition cond = { .deny = deny };
    if (condition_parse_op(op, &cond) != OK) return fault(c, "Invalid Condition type : %.*s.", PS(op));
    Str name = at(c, key), reason;
    if (str_find(name, ':') == SIZE_MAX)
        return fault(c, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: %.*s", PS(name));
    cond.key = str_dup(arena, name);
    cond.label = str_format(arena, "%.*s %.*s", PS(op), PS(name));
    cond.n = list_size(values);
    Template *templates = arena_array(arena, Template, cond.n ? cond.n : 1);
    yyjson_val *item = list_first(values);
    for (size_t i = 0; i < cond.n; i++, item = unsafe_yyjson_get_next(item)) {
        Str text = scalar(c, item);
        if (!text.ptr)
            return fault(c, "Syntax errors in policy: a value of the condition %.*s must be a string", PS(cond.label));
        if (condition_parse_value(&cond, text, c->variables, arena, &templates[i], &reason) != OK)
            return fault(c, "%.*s", PS(reason));
    }
    cond.values = templates;
    *out = cond;
    return OK;
}

static Err compile_conditions(Compiler *c, yyjson_val *block, Statement *s) {
    size_t i, max, k, keys, n = 0;
    yyjson_val *op, *map, *key, *values;
    if (!block) return OK;
    if (!yyjson_is_obj(block)) return fault(c, "Syntax errors in policy: Condition must be an object");
    yyjson_obj_foreach(block, i, max, op, map) {
        Str name = at(c, op);
        if (!yyjson_is_obj(map))
            return fault(c, "Syntax errors in policy: the condition %.*s must be an object of keys", PS(name));
        n += yyjson_obj_size(map);
    }
    Condition *conditions = arena_array(&c->policy->arena, Condition, n ? n : 1);
    n = 0;
    yyjson_obj_foreach(block, i, max, op, map) {
        yyjson_obj_foreach(map, k, keys, key, values) {
            Err e = compile_condition(c, at(c, op), key, values, s->deny, &conditions[n++]);
            if (e != OK) return e;
        }
    }
    s->conditions = conditions;
    s->conditions_n = n;
    return OK;
}

static Err check_sid(Compiler *c, yyjson_val *v, Statement *s) {
    if (!v) return OK;
    if (!yyjson_is_str(v)) return fault(c, "Syntax errors in policy: Sid must be a string");
    Str id = at(c, v);
    if (id.len > SID_BYTES_MAX) return fault(c, "Statement IDs (SID) must have at most %d characters", SID_BYTES_MAX);
    for (size_t i = 0; c->kind == POLICY_IAM && i < id.len; i++) {
        uint8_t ch = id.ptr[i];
        if (!((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') && !(ch >= '0' && ch <= '9'))
            return fault(c, "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular "
                            "expression [0-9A-Za-z]*");
    }
    for (const Statement *other = c->policy->statements; other < s; other++)
        if (id.len && str_eq(other->id, id)) return fault(c, "Statement IDs (SID) in a single policy must be unique.");
    s->id = str_dup(&c->policy->arena, id);
    return OK;
}

enum {
    SID,
    EFFECT,
    ACTION,
    NOT_ACTION,
    RESOURCE,
    NOT_RESOURCE,
    CONDITION,
    PRINCIPAL,
    NOT_PRINCIPAL,
    STATEMENT_MEMBERS
};
static const Str statement_members[] = {
    STR_INIT("Sid"),       STR_INIT("Effect"),    STR_INIT("Action"),
    STR_INIT("NotAction"), STR_INIT("Resource"),  STR_INIT("NotResource"),
    STR_INIT("Condition"), STR_INIT("Principal"), STR_INIT("NotPrincipal"),
};

static Err compile_statement(Compiler *c, yyjson_val *v, Statement *s) {
    yyjson_val *m[STATEMENT_MEMBERS] = { 0 };
    if (!yyjson_is_obj(v)) return fault(c, "Syntax errors in policy: a Statement must be an object");
    Err e = members(c, v, statement_members, STATEMENT_MEMBERS, m);
    if (e != OK) return e;
    if (m[PRINCIPAL] || m[NOT_PRINCIPAL]) return fault(c, "Policy document should not specify a principal.");
    if (!m[EFFECT]) return fault(c, "Missing required field Effect");
    Str effect = at(c, m[EFFECT]);
    s->deny = str_eq(effect, S("Deny"));
    if (!s->deny && !str_eq(effect, S("Allow"))) return fault(c, "Invalid effect: %.*s (Allow or Deny)", PS(effect));
    if (m[ACTION] && m[NOT_ACTION]) return fault(c, "Statement/policy already has instance of Action");
    if (m[RESOURCE] && m[NOT_RESOURCE]) return fault(c, "Statement/policy already has instance of Resource");
    s->not_action = m[NOT_ACTION] != NULL;
    s->not_resource = m[NOT_RESOURCE] != NULL;
    e = check_sid(c, m[SID], s);
    if (e == OK) e = compile_actions(c, m[ACTION] ? m[ACTION] : m[NOT_ACTION], s);
    if (e == OK) e = compile_resources(c, m[RESOURCE] ? m[RESOURCE] : m[NOT_RESOURCE], s);
    if (e == OK) e = compile_conditions(c, m[CONDITION], s);
    return e;
}

/* Variables came with 2012-10-17; in an older document ${…} is text. */
static Err check_version(Compiler *c, yyjson_val *v) {
    c->variables = c->kind == POLICY_IOT;
    if (!v) return OK;
    Str version = at(c, v);
    if (str_eq(version, S("2012-10-17"))) {
        c->variables = true;
        return OK;
    }
    if (str_eq(version, S("2008-10-17"))) {
        c->variables = false;
        return OK;
    }
    return fault(c, "Policy document must be version 2012-10-17 or greater.");
}

enum { VERSION, ID, STATEMENT, DOCUMENT_MEMBERS };
static const Str document_members[] = { STR_INIT("Version"), STR_INIT("Id"), STR_INIT("Statement") };

static Err compile_document(Compiler *c, yyjson_val *root) {
    yyjson_val *m[DOCUMENT_MEMBERS] = { 0 };
    if (!yyjson_is_obj(root)) return fault(c, "Syntax errors in policy: the document must be a JSON object");
    Err e = members(c, root, document_members, DOCUMENT_MEMBERS, m);
    if (e == OK) e = check_version(c, m[VERSION]);
    if (e != OK) return e;
    if (m[ID] && !yyjson_is_str(m[ID])) return fault(c, "Syntax errors in policy: Id must be a string");
    size_t n = list_size(m[STATEMENT]);
    if (n == 0) return fault(c, "Syntax errors in policy: Statement is missing or empty");
    Statement *statements = arena_array(&c->policy->arena, Statement, n);
    c->policy->statements = statements;
    at(c, m[STATEMENT] - 1); /* its key lies before it */
    yyjson_val *item = list_first(m[STATEMENT]);
    for (size_t i = 0; i < n; i++, item = unsafe_yyjson_get_next(item)) {
        statements[i].index = (int)i;
        e = compile_statement(c, item, &statements[i]);
        if (e != OK) return e;
        c->policy->statements_n++;
    }
    return OK;
}

static size_t count_chars(Str document) {
    size_t n = 0;
    for (size_t i = 0; i < document.len; i++) {
        uint8_t ch = document.ptr[i];
        n += ch != ' ' && ch != '\n' && ch != '\r' && ch != '\t' && (ch & 0xC0) != 0x80;
    }
    return n;
}

static Err read_document(Compiler *c, Str document, Arena *scratch, yyjson_val **out) {
    size_t chars = count_chars(document),
           chars_max = c->kind == POLICY_IOT ? POLICY_IOT_CHARS_MAX : POLICY_IAM_CHARS_MAX;
    if (chars > chars_max) {
        c->fault.reason =
            str_format(c->arena, "The policy document has %zu characters without white space; at most %zu are allowed",
                       chars, chars_max);
        return ERR_LIMIT;
    }
    yyjson_alc alc = json_alc(scratch);
    yyjson_read_err err;
    Str copy = str_dup(scratch, document);
    yyjson_doc *doc = yyjson_read_opts(copy.ptr ? (char *)(uintptr_t)copy.ptr : (char[]){ "" }, copy.len,
                                       YYJSON_READ_NUMBER_AS_RAW, &alc, &err);
    if (!doc) {
        c->text = (const char *)document.ptr;
        c->here = c->text ? c->text + (err.pos < document.len ? err.pos : document.len) : NULL;
        c->fault = (PolicyFault){ line_of(c), str_format(c->arena, "Syntax errors in policy: not JSON, %s", err.msg) };
        return ERR_MALFORMED;
    }
    c->text = c->here = doc->str_pool;
    *out = yyjson_doc_get_root(doc);
    return OK;
}

Err policy_compile(Str name, Str document, PolicyKind kind, Arena *arena, Policy **out, PolicyFault *fault_out) {
    Arena scratch = { 0 };
    Policy *p = mem_new(sizeof *p);
    *p = (Policy){ .kind = kind, .refs = 1 };
    p->name = str_dup(&p->arena, name);
    Compiler c = { .policy = p, .kind = kind, .arena = arena };
    yyjson_val *root;
    Err e = read_document(&c, document, &scratch, &root);
    if (e == OK) e = compile_document(&c, root);
    arena_free(&scratch);
    if (e != OK) {
        policy_release(p);
        *fault_out = c.fault;
        return e;
    }
    *out = p;
    return OK;
}

Policy *policy_retain(Policy *p) {
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void policy_release(Policy *p) {
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    arena_free(&p->arena);
    free(p);
}

Str policy_name(const Policy *p) {
    return p->name;
}
