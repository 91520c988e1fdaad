#include "services/absent.h"

#include "base/json.h"
#include "base/writer.h"
#include "mqtt/topic.h"
#include "services/publish.h"

/* A family is a row: which topics, whose operation, and in which of the forms it refuses. A family moves from here to
 * its service when that is written. */

typedef enum { FORM_JOBS, FORM_PROVISIONING, FORM_STREAM, FORM_DEFENDER, FORM_COMMAND } Form;

typedef struct {
    Str filter;
    Form form;
    Str operation;
} Family;

static const Family FAMILIES[] = {
    { STR_INIT("$aws/things/+/jobs/get"), FORM_JOBS, STR_INIT("GetPendingJobExecutions") },
    { STR_INIT("$aws/things/+/jobs/start-next"), FORM_JOBS, STR_INIT("StartNextPendingJobExecution") },
    { STR_INIT("$aws/things/+/jobs/+/get"), FORM_JOBS, STR_INIT("DescribeJobExecution") },
    { STR_INIT("$aws/things/+/jobs/+/update"), FORM_JOBS, STR_INIT("UpdateJobExecution") },
    { STR_INIT("$aws/certificates/create/+"), FORM_PROVISIONING, STR_INIT("CreateKeysAndCertificate over MQTT") },
    { STR_INIT("$aws/certificates/create-from-csr/+"), FORM_PROVISIONING,
      STR_INIT("CreateCertificateFromCsr over MQTT") },
    { STR_INIT("$aws/provisioning-templates/+/provision/+"), FORM_PROVISIONING, STR_INIT("RegisterThing over MQTT") },
    { STR_INIT("$aws/things/+/streams/+/describe/+"), FORM_STREAM, STR_INIT("DescribeStream over MQTT") },
    { STR_INIT("$aws/things/+/streams/+/get/+"), FORM_STREAM, STR_INIT("GetStream over MQTT") },
    { STR_INIT("$aws/things/+/defender/metrics/+"), FORM_DEFENDER, STR_INIT("Device Defender's metrics") },
    { STR_INIT("$aws/commands/things/+/executions/+/response/+"), FORM_COMMAND, STR_INIT("UpdateCommandExecution") },
    { STR_INIT("$aws/commands/clients/+/executions/+/response/+"), FORM_COMMAND, STR_INIT("UpdateCommandExecution") },
};

static const Family *family_of(Str topic) {
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        if (mqtt_topic_matches(FAMILIES[i].filter, topic)) return &FAMILIES[i];
    return NULL;
}

static Str without_last(Str topic) {
    return str_sub(topic, 0, topic.len - str_after_last(topic, '/').len);
}

/* The last segment is the format, but for jobs: JSON alone. */
static Str format_of(const Family *f, Str topic) {
    return f->form == FORM_JOBS ? S("json") : str_after_last(topic, '/');
}

bool absent_topic_takes(Str topic) {
    const Family *f = str_starts(topic, S("$aws/")) ? family_of(topic) : NULL;
    if (!f) return false;
    Str format = format_of(f, topic);
    return str_eq(format, S("json")) || str_eq(format, S("cbor"));
}

/* ------------------------------------------------------------------------------------------------ answers */

typedef struct Field Field;
struct Field {
    const char *name;
    Str text; /* STR_NONE: another kind */
    int64_t number;
    const Field *inside; /* an object's, inside_n; NULL: no object */
    size_t inside_n;
};

enum { FIELDS_MAX = 4 };

static yyjson_mut_val *json_of(yyjson_mut_doc *doc, const Field *fields, size_t n) {
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    for (size_t i = 0; i < n; i++) {
        const Field *f = &fields[i];
        yyjson_mut_val *v = f->inside     ? json_of(doc, f->inside, f->inside_n)
                            : f->text.ptr ? json_mut_str(doc, f->text)
                                          : yyjson_mut_sint(doc, f->number);
        yyjson_mut_obj_add(o, json_mut_str(doc, str_c(f->name)), v);
    }
    return o;
}

/* A major type with its argument. Source: RFC 8949, 3 */
static void cbor_head(Writer *w, uint8_t major, uint64_t n) {
    if (n < 24) {
        writer_u8(w, (uint8_t)(major << 5 | n));
    } else if (n <= UINT16_MAX) {
        writer_u8(w, (uint8_t)(major << 5 | 25));
        writer_u16(w, (uint16_t)n);
    } else {
        writer_u8(w, (uint8_t)(major << 5 | 27));
        writer_u64(w, n);
    }
}

static void cbor_text(Writer *w, Str s) {
    cbor_head(w, 3, s.len);
    writer_bytes(w, s);
}

static void write_cbor(Writer *w, const Field *fields, size_t n) {
    cbor_head(w, 5, n);
    for (size_t i = 0; i < n; i++) {
        cbor_text(w, str_c(fields[i].name));
        if (fields[i].inside)
            write_cbor(w, fields[i].inside, fields[i].inside_n);
        else if (fields[i].text.ptr)
            cbor_text(w, fields[i].text);
        else
            cbor_head(w, 0, (uint64_t)fields[i].number);
    }
}

/* Clients of jobs and streams know their answer by the token that they sent. STR_NONE: none, or no JSON. */
static Str token_of(Str payload, Str name, Arena *arena) {
    yyjson_val *root;
    Str why;
    return json_read(arena, payload, false, &root, &why) == OK ? json_str(json_get(root, name)) : STR_NONE;
}

static size_t fields_of(const Family *f, Call *c, Str payload, Str why, Field *out) {
    static const Str code = STR_INIT("NotImplemented");
    Str token;
    Field *details;
    size_t n = 0;
    switch (f->form) {
    case FORM_JOBS:
        out[n++] = (Field){ .name = "code", .text = code };
        out[n++] = (Field){ .name = "message", .text = why };
        out[n++] = (Field){ .name = "timestamp", .number = c->now_ms / 1000 };
        token = token_of(payload, S("clientToken"), c->arena);
        if (token.ptr) out[n++] = (Field){ .name = "clientToken", .text = token };
        break;
    case FORM_PROVISIONING:
        out[n++] = (Field){ .name = "statusCode", .number = 501 };
        out[n++] = (Field){ .name = "errorCode", .text = code };
        out[n++] = (Field){ .name = "errorMessage", .text = why };
        break;
    case FORM_STREAM:
        out[n++] = (Field){ .name = "o", .text = code };
        out[n++] = (Field){ .name = "m", .text = why };
        token = token_of(payload, S("c"), c->arena);
        if (token.ptr) out[n++] = (Field){ .name = "c", .text = token };
        break;
    case FORM_DEFENDER:
        details = arena_array(c->arena, Field, 2);
        details[0] = (Field){ .name = "ErrorCode", .text = code };
        details[1] = (Field){ .name = "ErrorMessage", .text = why };
        out[n++] = (Field){ .name = "status", .text = S("REJECTED") };
        out[n++] = (Field){ .name = "statusDetails", .inside = details, .inside_n = 2 };
        out[n++] = (Field){ .name = "timestamp", .number = c->now_ms };
        break;
    case FORM_COMMAND:
        out[n++] = (Field){ .name = "error", .text = code };
        out[n++] = (Field){ .name = "errorMessage", .text = why };
        break;
    }
    return n;
}

/* Where this family says no. */
static Str rejected_topic(const Family *f, Str topic, Arena *arena) {
    Str format = format_of(f, topic), before = without_last(topic);
    if (f->form == FORM_COMMAND) return str_format(arena, "%.*srejected/%.*s", PS(before), PS(format));
    if (f->form != FORM_STREAM) return str_format(arena, "%.*s/rejected", PS(topic));
    Str stream = without_last(str_sub(before, 0, before.len - 1));
    return str_format(arena, "%.*srejected/%.*s", PS(stream), PS(format));
}

Err absent_topic_run(Call *c, Str topic, Str payload) {
    const Family *f = family_of(topic);
    if (!f) return ERR_NOT_FOUND;
    Str why = str_format(c->arena, "%.*s is not implemented yet", PS(f->operation));
    Field fields[FIELDS_MAX];
    size_t n = fields_of(f, c, payload, why, fields);
    Str answer;
    if (str_eq(format_of(f, topic), S("cbor"))) {
        Writer w = writer_in(c->arena);
        write_cbor(&w, fields, n);
        answer = writer_str(&w);
    } else {
        answer = json_write_mut(c->arena, json_of(json_doc(c->arena), fields, n));
    }
    publish_after(c, rejected_topic(f, topic, c->arena), answer);
    return OK;
}
