#include "api/route.h"

#include "base/encode.h"

/* A service has up to some 270 paths, most of which differ in their first word: `routes` is sorted by it, a binary
 * search finds the few that share it, and each is held against the path word by word. Of several that fit, the one
 * with more literal words wins (/things/{t}/jobs/$next over /things/{t}/jobs/{id}).
 *
 * Clients put a topic into a path as a%2Fb (boto3) or raw (curl, older devices). So when no path fits, the
 * search is done again with a last label that takes the rest, where the label's shape has no pattern: a thing's
 * name cannot hold a slash, and /things/a/b/c is an unknown path, not a thing. */

typedef struct {
    Str labels[API_LABELS_MAX];
    size_t labels_n, literals;
} Fit;

static Str cut_word(Str *rest) { /* "/a/b" -> "a", rest "/b" */
    Str inner = str_from(*rest, 1);
    size_t n = str_find(inner, '/');
    Str word = str_sub(inner, 0, n);
    *rest = str_from(inner, word.len);
    return word;
}

static bool literal_fits(Str template, Str word) {
    if (str_eq(template, word)) return true;
    uint8_t space[128]; /* no literal of a model is that long */
    size_t n = 0;
    for (size_t i = 0; i < word.len; i++, n++) {
        if (n == sizeof space) return false;
        space[n] = word.ptr[i];
        if (word.ptr[i] != '%' || i + 2 >= word.len) continue;
        int v = 0;
        for (size_t j = 1; j <= 2; j++) {
            uint8_t c = word.ptr[i + j] | 32;
            bool digit = c >= '0' && c <= '9';
            if (!digit && (c < 'a' || c > 'f')) return false;
            v = v * 16 + (digit ? c - '0' : c - 'a' + 10);
        }
        space[n] = (uint8_t)v;
        i += 2;
    }
    return str_eq(template, (Str){ space, n });
}

static size_t words_in(Str path) {
    size_t n = 0;
    while (path.len) {
        cut_word(&path);
        n++;
    }
    return n;
}

/* Takes words until as many are left as the template still has. */
static Str take_greedy(Str *path, Str template_rest) {
    size_t keep = words_in(template_rest), have = words_in(*path);
    const uint8_t *from = path->ptr + 1;
    if (have <= keep) return STR_NONE;
    for (size_t i = keep; i < have; i++) cut_word(path);
    return (Str){ from, (size_t)(path->ptr - from) };
}

static bool may_hold_slashes(const ApiOp *op, Str label) {
    for (size_t i = 0; i < op->in->members_n; i++) {
        const ApiMember *m = &op->in->members[i];
        if (m->where == API_IN_PATH && str_eq(m->wire, label))
            return m->shape->kind == API_STR && m->shape->pattern < 0;
    }
    return false;
}

static bool path_fits(const ApiOp *op, Str path, bool loose, Fit *out) {
    Fit fit = { .literals = 0 };
    Str template = op->path;
    while (template.len > 1 && path.len) { /* a last '/' is worth nothing */
        Str word = cut_word(&template);
        if (word.len < 2 || word.ptr[0] != '{') {
            if (!literal_fits(word, cut_word(&path))) return false;
            fit.literals++;
            continue;
        }
        Str name = str_sub(word, 1, word.len - 1);
        bool greedy = str_ends(name, S("+"));
        if (loose && template.len == 0 && may_hold_slashes(op, name)) greedy = true;
        Str value = greedy ? take_greedy(&path, template) : cut_word(&path);
        if (!value.len || fit.labels_n == API_LABELS_MAX) return false;
        fit.labels[fit.labels_n++] = value;
    }
    if (template.len > 1 || (path.len && !str_eq(path, S("/")))) return false;
    *out = fit;
    return true;
}

Str query_next(Str *at, Str *key) {
    while (at->len) {
        Str pair = str_cut(at, '&');
        if (!pair.len) continue;
        *key = str_cut(&pair, '=');
        return pair.ptr ? pair : S("");
    }
    return STR_NONE;
}

static bool query_fits(Str wanted, Str query) {
    Str key, value;
    while ((value = query_next(&wanted, &key)).ptr) {
        Str at = query, k, v;
        bool found = false;
        while (!found && (v = query_next(&at, &k)).ptr) found = str_eq(k, key) && (!value.len || str_eq(v, value));
        if (!found) return false;
    }
    return true;
}

static Str first_word(Str path) {
    return path.len ? cut_word(&path) : S("");
}

/* First of s->routes whose first word is not below `word`. */
static size_t lower_bound(const ApiService *s, Str word) {
    size_t low = 0, high = s->ops_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_cmp(first_word(s->ops[s->routes[middle]].path), word) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static Err search(const ApiService *s, Str method, Str path, Str query, bool loose, const ApiOp **op, Fit *fit) {
    Str word = first_word(path);
    Err e = ERR_NOT_FOUND;
    *op = NULL;
    for (size_t i = lower_bound(s, word); i < s->ops_n; i++) {
        const ApiOp *o = &s->ops[s->routes[i]];
        Fit f;
        if (!str_eq(first_word(o->path), word)) break;
        if (!path_fits(o, path, loose, &f) || !query_fits(o->query, query)) continue;
        f.literals += o->query.len > 0; /* GET /layers?find=LayerVersion over GET /layers */
        if (!str_eq(o->method, method)) {
            if (e == ERR_NOT_FOUND) e = ERR_INVALID;
            continue;
        }
        if (*op && fit->literals >= f.literals) continue;
        *op = o;
        *fit = f;
        e = OK;
    }
    return e;
}

Err route_rest(const ApiService *s, Str method, Str path, Str query, Arena *a, ApiMatch *out) {
    ApiMatch m = { 0 };
    Fit fit = { 0 };
    if (!path.len || path.ptr[0] != '/') return ERR_NOT_FOUND;
    Err e = search(s, method, path, query, false, &m.op, &fit);
    if (e == ERR_NOT_FOUND) e = search(s, method, path, query, true, &m.op, &fit);
    for (size_t i = 0; i < fit.labels_n && e == OK; i++) e = percent_decode(a, fit.labels[i], false, &m.labels[i]);
    if (e != OK) return e;
    m.labels_n = fit.labels_n;
    *out = m;
    return OK;
}

Err route_target(const ApiService *s, Str target, ApiMatch *out) {
    Str name = target;
    if (!str_eq(str_cut(&name, '.'), s->target)) return ERR_NOT_FOUND;
    const ApiOp *op = api_op(s, name);
    if (!op) return ERR_NOT_FOUND;
    *out = (ApiMatch){ .op = op };
    return OK;
}

size_t route_label(const ApiOp *op, Str name) {
    Str template = op->path;
    size_t i = 0;
    while (template.len > 1) {
        Str word = cut_word(&template);
        if (word.len < 2 || word.ptr[0] != '{') continue;
        Str label = str_sub(word, 1, word.len - 1);
        if (str_ends(label, S("+"))) label.len--;
        if (str_eq(label, name)) return i;
        i++;
    }
    return SIZE_MAX;
}
