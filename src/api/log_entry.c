#include "api/log_entry.h"

#include <time.h>

#include "base/json.h"
#include "base/writer.h"

/* Source: AWS IoT developer guide, "CloudWatch AWS IoT log entries" */

static Str timestamp(int64_t ms, Arena *arena) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
    return str_format(arena, "%s.%03d", text, (int)(ms % 1000));
}

typedef struct {
    yyjson_mut_doc *doc;
    yyjson_mut_val *o;
    Arena *arena;
} Object;

/* Topics and client ids are what clients sent: a text that is not UTF-8 would make no JSON. */
static void text(Object *x, const char *name, Str value) {
    if (value.ptr && str_is_utf8(value)) json_add_str(x->doc, x->o, str_c(name), value);
}

static void field(Object *x, const LogField *f) {
    yyjson_val *parsed;
    if (f->form == LOG_FIELD_JSON) {
        if (json_read(x->arena, f->text, false, &parsed, NULL) == OK)
            yyjson_mut_obj_add_val(x->doc, x->o, f->name, yyjson_val_mut_copy(x->doc, parsed));
    } else if (f->form == LOG_FIELD_BOOL) {
        yyjson_mut_obj_add_bool(x->doc, x->o, f->name, f->number != 0);
    } else if (f->text.ptr) {
        text(x, f->name, f->text);
    } else {
        yyjson_mut_obj_add_int(x->doc, x->o, f->name, f->number);
    }
}

static Str write_entry(const LogEntry *e, Arena *arena, bool whole) {
    Object x = { .doc = json_doc(arena), .arena = arena };
    x.o = yyjson_mut_obj(x.doc);
    text(&x, "timestamp", timestamp(e->now_ms, arena));
    text(&x, "logLevel", service_log_level_name((uint8_t)e->level));
    text(&x, "traceId", e->trace_id);
    text(&x, "accountId", e->account);
    text(&x, "status", e->success ? S("Success") : S("Failure"));
    text(&x, "eventType", service_event_name(e->event));
    text(&x, "protocol", e->protocol);
    text(&x, "topicName", e->topic);
    text(&x, "clientId", e->client_id);
    text(&x, "principalId", e->principal_id);
    text(&x, "sourceIp", e->source_ip);
    if (e->source_port) yyjson_mut_obj_add_int(x.doc, x.o, "sourcePort", e->source_port);
    text(&x, "reason", e->reason);
    if (whole) text(&x, "details", e->details);
    for (size_t i = 0; whole && i < e->more_n; i++) field(&x, &e->more[i]);
    return json_write_mut(arena, x.o);
}

Str log_entry_json(const LogEntry *entry, Arena *arena) {
    Str line = write_entry(entry, arena, true);
    return line.len <= LOG_ENTRY_BYTES_MAX ? line : write_entry(entry, arena, false);
}

static void part(Writer *w, const char *name, Str value) {
    if (value.ptr) writer_format(w, " %s:%.*s", name, PS(value));
}

Str log_entry_text(const LogEntry *e, Arena *arena) {
    Writer w = writer_in(arena);
    writer_bytes(&w, timestamp(e->now_ms, arena));
    part(&w, "TRACEID", e->trace_id);
    part(&w, "PRINCIPALID", e->principal_id);
    writer_format(&w, " [%.*s]", PS(service_log_level_name((uint8_t)e->level)));
    part(&w, "EVENT", service_event_name(e->event));
    part(&w, "CLIENTID", e->client_id);
    part(&w, "TOPICNAME", e->topic);
    writer_format(&w, " MESSAGE: Status: %s", e->success ? "SUCCESS" : "FAILURE");
    part(&w, "Reason", e->reason);
    part(&w, "Details", e->details);
    for (size_t i = 0; i < w.len; i++)
        if (w.ptr[i] < 0x20 || w.ptr[i] == 0x7F) w.ptr[i] = '?';
    return str_sub(writer_str(&w), 0, LOG_ENTRY_BYTES_MAX);
}
