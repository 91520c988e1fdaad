/* The checks go from the outside in, so that a refusal names the outermost thing that is wrong; the client token is
 * read first, because a refusal carries it. Depth is checked before anything walks the values.
 * Source: AWS IoT developer guide, "Device Shadow error messages" (codes and texts). */
#include "services/shadow/request.h"

Err shadow_refuse(ShadowFault *fault, int code, Str message) {
    fault->code = code;
    fault->message = message;
    return ERR_INVALID;
}

static Err read_json(Str text, Arena *arena, yyjson_val **out, ShadowFault *fault) {
    if (!str_is_utf8(text))
        return shadow_refuse(fault, 415, S("Unsupported documented encoding; supported encoding is UTF-8"));
    if (json_read(arena, text, true, out, NULL) != OK || !yyjson_is_obj(*out))
        return shadow_refuse(fault, 400, S("Invalid JSON"));
    return OK;
}

/* Of equal keys the last. */
static yyjson_val *last_member(yyjson_val *object, Str key) {
    yyjson_val *found = NULL;
    yyjson_obj_iter it = yyjson_obj_iter_with(object);
    for (yyjson_val *k; (k = yyjson_obj_iter_next(&it));)
        if (str_eq(json_str(k), key)) found = yyjson_obj_iter_get_val(k);
    return found;
}

static Err read_token(yyjson_val *request, const ShadowLimits *limits, Str *out, ShadowFault *fault) {
    yyjson_val *v = last_member(request, S("clientToken"));
    if (!v) return OK;
    Str token = json_str(v);
    if (!yyjson_is_str(v) || token.len > limits->token_bytes_max)
        return shadow_refuse(fault, 400, S("Invalid clientToken"));
    *out = fault->client_token = token;
    return OK;
}

static Err read_version(yyjson_val *request, ShadowRequest *out, ShadowFault *fault) {
    yyjson_val *v = last_member(request, S("version"));
    if (!v) return OK;
    out->has_version = true;
    if (!yyjson_is_raw(v) || str_to_i64(json_str(v), &out->version) != OK || out->version < 0)
        return shadow_refuse(fault, 400, S("Invalid version"));
    return OK;
}

/* levels: objects and arrays that v may be made of, itself included */
static bool too_deep(yyjson_val *v, int levels) {
    if (!yyjson_is_ctn(v)) return false;
    if (levels == 0) return true;
    if (yyjson_is_arr(v)) {
        yyjson_arr_iter items = yyjson_arr_iter_with(v);
        for (yyjson_val *item; (item = yyjson_arr_iter_next(&items));)
            if (too_deep(item, levels - 1)) return true;
        return false;
    }
    yyjson_obj_iter members = yyjson_obj_iter_with(v);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&members));)
        if (too_deep(yyjson_obj_iter_get_val(key), levels - 1)) return true;
    return false;
}

/* A null cannot be kept, and within an array it has no key that it could remove. */
static bool null_in_array(const Node *n, bool inside) {
    if (n->kind == NODE_NULL) return inside;
    node_each(n, child) if (null_in_array(child, inside || n->kind == NODE_ARRAY)) return true;
    return false;
}

static Err read_section(yyjson_val *v, Str wrong_kind, int64_t now_s, const ShadowLimits *limits, Arena *arena,
                        Node **out, ShadowFault *fault) {
    if (!yyjson_is_obj(v) && !yyjson_is_null(v)) return shadow_refuse(fault, 400, wrong_kind);
    if (too_deep(v, limits->depth_max + 1)) /* AWS allows 8 and still says 6 */
        return shadow_refuse(fault, 400, S("JSON contains too many levels of nesting; maximum is 6"));
    *out = node_from(arena, v, now_s);
    if (null_in_array(*out, false)) return shadow_refuse(fault, 400, S("State contains an invalid node"));
    return OK;
}

/* Other members than desired and reported are passed over beside one of them, delta always. */
static Err read_state(yyjson_val *state, int64_t now_s, const ShadowLimits *limits, Arena *arena, ShadowRequest *out,
                      ShadowFault *fault) {
    yyjson_val *desired = last_member(state, S("desired")), *reported = last_member(state, S("reported"));
    if (!desired && !reported) {
        yyjson_obj_iter it = yyjson_obj_iter_with(state);
        for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
            if (!str_eq(json_str(key), S("delta")))
                return shadow_refuse(fault, 400, S("State contains an invalid node"));
    }
    Err e = OK;
    if (desired)
        e = read_section(desired, S("Desired node must be an object"), now_s, limits, arena, &out->desired, fault);
    if (e == OK && reported)
        e = read_section(reported, S("Reported node must be an object"), now_s, limits, arena, &out->reported, fault);
    return e;
}

Err shadow_request_read(Str text, int64_t now_s, const ShadowLimits *limits, Arena *arena, ShadowRequest *out,
                        ShadowFault *fault) {
    *fault = (ShadowFault){ 0 };
    ShadowRequest r = { 0 };
    yyjson_val *root = NULL;
    Err e = read_json(text, arena, &root, fault);
    if (e == OK) e = read_token(root, limits, &r.client_token, fault);
    if (e != OK) return e;
    yyjson_val *state = last_member(root, S("state"));
    if (!state) return shadow_refuse(fault, 400, S("Missing required node: state"));
    if (!yyjson_is_obj(state) && !yyjson_is_null(state))
        return shadow_refuse(fault, 400, S("State node must be an object"));
    e = read_version(root, &r, fault);
    if (e == OK && yyjson_is_obj(state)) e = read_state(state, now_s, limits, arena, &r, fault);
    if (e != OK) return e;
    r.clears = yyjson_is_null(state);
    *out = r;
    return OK;
}

Err shadow_token(Str request, const ShadowLimits *limits, Arena *arena, Str *out, ShadowFault *fault) {
    *fault = (ShadowFault){ 0 };
    yyjson_val *root = NULL;
    *out = STR_NONE;
    if (json_read(arena, request, true, &root, NULL) != OK || !yyjson_is_obj(root)) return OK;
    return read_token(root, limits, out, fault);
}
