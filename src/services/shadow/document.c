/* An update reads the kept text once, merges in a tree (tree.h) and writes each text once; the documents message is
 * put together of texts that are there already. The kept text is what a get shows of state and metadata, so that a
 * shadow without a difference is answered without writing it anew.
 *
 * Versions: each accepted update adds one. A deleted shadow's version is remembered by the caller and comes back in
 * ShadowStored, so that a device which missed the deletion does not take the new shadow for an old message.
 * A shadow that never was is at version 0 in the guide and answers to version 1 in AWS's edge implementation: both
 * are let pass. */
#include "services/shadow/document.h"

#include "services/shadow/merge.h"
#include "services/shadow/request.h"

typedef struct {
    Node *desired, *reported; /* NULL: the section is not there */
} Sections;

static Err section_read(Arena *arena, yyjson_val *state, yyjson_val *metadata, Str name, Node **out) {
    yyjson_val *v = json_get(state, name);
    if (!v) return OK;
    if (!yyjson_is_obj(v)) return ERR_CORRUPT;
    return node_from_stored(arena, v, json_get(metadata, name), out);
}

static Err sections_read(Arena *arena, Str text, Sections *out) {
    if (!text.ptr) return OK;
    yyjson_val *root = NULL;
    if (json_read(arena, text, true, &root, NULL) != OK) return ERR_CORRUPT;
    yyjson_val *state = json_get(root, S("state")), *metadata = json_get(root, S("metadata"));
    if (!yyjson_is_obj(state) || !yyjson_is_obj(metadata)) return ERR_CORRUPT;
    Sections s = { 0 };
    Err e = section_read(arena, state, metadata, S("desired"), &s.desired);
    if (e == OK) e = section_read(arena, state, metadata, S("reported"), &s.reported);
    if (e == OK) *out = s;
    return e;
}

static void section_merge(Arena *arena, Node **section, Node *patch) {
    if (!patch) return;
    if (patch->kind == NODE_NULL || node_is_empty(patch)) {
        *section = NULL;
        return;
    }
    if (!*section) *section = node_object(arena);
    shadow_merge(arena, *section, patch);
    if (node_is_empty(*section)) *section = NULL;
}

static void write_sections(Writer *w, const Sections *s, void (*write)(Writer *, const Node *), size_t *state_bytes) {
    writer_u8(w, '{');
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        const Node *section = i == 0 ? s->desired : s->reported;
        if (!section) continue;
        if (bytes) writer_u8(w, ',');
        writer_bytes(w, i == 0 ? S("\"desired\":") : S("\"reported\":"));
        size_t from = w->len;
        write(w, section);
        bytes += w->len - from;
    }
    writer_u8(w, '}');
    if (state_bytes) *state_bytes = bytes;
}

/* …,"version":n,"timestamp":n,"clientToken":"…"}; version below 0: none */
static void write_end(Writer *w, int64_t version, int64_t now_s, Str client_token) {
    if (version >= 0) writer_format(w, ",\"version\":%lld", (long long)version);
    writer_format(w, ",\"timestamp\":%lld", (long long)now_s);
    if (client_token.ptr) {
        writer_bytes(w, S(",\"clientToken\":"));
        json_write_string(w, client_token);
    }
    writer_u8(w, '}');
}

static Err too_large(ShadowFault *fault) {
    return shadow_refuse(fault, 413, S("The payload exceeds the maximum size allowed"));
}

static Err check_version(const ShadowStored *stored, const ShadowRequest *r, ShadowFault *fault) {
    if (!r->has_version || r->version == stored->version) return OK;
    if (stored->text.ptr || stored->version > 0) return shadow_refuse(fault, 409, S("Version conflict"));
    return r->version == 1 ? OK : shadow_refuse(fault, 400, S("Invalid version"));
}

/* What of the request was taken; a null that removed something has a time, too. */
static Err accepted_document(const ShadowRequest *r, int64_t version, int64_t now_s, const ShadowLimits *limits,
                             Arena *arena, Str *out, ShadowFault *fault) {
    Sections named = { r->desired, r->reported };
    size_t state_bytes = 0;
    Writer w = writer_in(arena);
    writer_bytes(&w, S("{\"state\":"));
    if (r->clears)
        writer_format(&w, "null,\"metadata\":{\"timestamp\":%lld}", (long long)now_s);
    else {
        write_sections(&w, &named, node_write, &state_bytes);
        writer_bytes(&w, S(",\"metadata\":"));
        write_sections(&w, &named, node_write_metadata, NULL);
    }
    write_end(&w, version, now_s, r->client_token);
    if (state_bytes > limits->document_bytes_max) return too_large(fault);
    *out = writer_str(&w);
    return OK;
}

static Str delta_document(const Sections *s, const ShadowRequest *r, int64_t version, int64_t now_s, Arena *arena) {
    Writer state = writer_in(arena), metadata = writer_in(arena), w = writer_in(arena);
    if (!s->desired || !shadow_write_delta(arena, s->desired, s->reported, &state, &metadata)) return STR_NONE;
    writer_format(&w, "{\"version\":%lld,\"timestamp\":%lld,\"state\":", (long long)version, (long long)now_s);
    writer_bytes(&w, writer_str(&state));
    writer_bytes(&w, S(",\"metadata\":"));
    writer_bytes(&w, writer_str(&metadata));
    if (r->client_token.ptr) {
        writer_bytes(&w, S(",\"clientToken\":"));
        json_write_string(&w, r->client_token);
    }
    writer_u8(&w, '}');
    return writer_str(&w);
}

static void write_whole(Writer *w, Str text, int64_t version) {
    writer_bytes(w, str_sub(text, 0, text.len - 1)); /* without its '}' */
    writer_format(w, ",\"version\":%lld}", (long long)version);
}

static Str documents_document(const ShadowStored *before, const ShadowUpdate *u, const ShadowRequest *r, int64_t now_s,
                              Arena *arena) {
    Writer w = writer_in(arena);
    writer_bytes(&w, S("{\"previous\":"));
    if (before->text.ptr)
        write_whole(&w, before->text, before->version);
    else
        writer_bytes(&w, S("null"));
    writer_bytes(&w, S(",\"current\":"));
    write_whole(&w, u->stored, u->version);
    write_end(&w, -1, now_s, r->client_token);
    return writer_str(&w);
}

static Str stored_text(const Sections *s, Arena *arena, size_t *state_bytes) {
    Writer w = writer_in(arena);
    writer_bytes(&w, S("{\"state\":"));
    write_sections(&w, s, node_write, state_bytes);
    writer_bytes(&w, S(",\"metadata\":"));
    write_sections(&w, s, node_write_metadata, NULL);
    writer_u8(&w, '}');
    return writer_str(&w);
}

Err shadow_update(const ShadowStored *stored, Str request, int64_t now_s, const ShadowLimits *limits, Arena *arena,
                  ShadowUpdate *out, ShadowFault *fault) {
    ShadowRequest r;
    Err e = shadow_request_read(request, now_s, limits, arena, &r, fault);
    if (e == OK) e = check_version(stored, &r, fault);
    if (e != OK) return e;
    Sections s = { 0 };
    e = sections_read(arena, stored->text, &s);
    if (e != OK) return e;

    ShadowUpdate u = { .version = stored->version + 1 };
    e = accepted_document(&r, u.version, now_s, limits, arena, &u.accepted, fault); /* the merge takes its nodes */
    if (e != OK) return e;
    if (r.clears) s = (Sections){ 0 };
    section_merge(arena, &s.desired, r.desired);
    section_merge(arena, &s.reported, r.reported);
    size_t state_bytes;
    u.stored = stored_text(&s, arena, &state_bytes);
    if (state_bytes > limits->document_bytes_max) return too_large(fault);
    u.delta = delta_document(&s, &r, u.version, now_s, arena);
    u.documents = documents_document(stored, &u, &r, now_s, arena);
    *out = u;
    return OK;
}

Err shadow_get(const ShadowStored *stored, Str client_token, int64_t now_s, Arena *arena, Str *out) {
    Sections s = { 0 };
    Err e = sections_read(arena, stored->text, &s);
    if (e != OK) return e;
    Writer w = writer_in(arena), state = writer_in(arena), metadata = writer_in(arena);
    if (s.desired && shadow_write_delta(arena, s.desired, s.reported, &state, &metadata)) {
        writer_bytes(&w, S("{\"state\":"));
        write_sections(&w, &s, node_write, NULL);
        w.len--; /* its '}' */
        writer_bytes(&w, S(",\"delta\":"));
        writer_bytes(&w, writer_str(&state));
        writer_bytes(&w, S("},\"metadata\":"));
        write_sections(&w, &s, node_write_metadata, NULL);
    } else {
        writer_bytes(&w, str_sub(stored->text, 0, stored->text.len - 1));
    }
    write_end(&w, stored->version, now_s, client_token);
    *out = writer_str(&w);
    return OK;
}

Str shadow_deleted(int64_t version, Str client_token, int64_t now_s, Arena *arena) {
    Writer w = writer_in(arena);
    writer_format(&w, "{\"version\":%lld", (long long)version);
    write_end(&w, -1, now_s, client_token);
    return writer_str(&w);
}

Str shadow_rejected(const ShadowFault *fault, int64_t now_s, Arena *arena) {
    Writer w = writer_in(arena);
    writer_format(&w, "{\"code\":%d,\"message\":", fault->code);
    json_write_string(&w, fault->message);
    write_end(&w, -1, now_s, fault->client_token);
    return writer_str(&w);
}
