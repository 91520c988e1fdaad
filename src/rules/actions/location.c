/* Location: a tracker is told where a device is. The result of the SQL is not sent: the action's own members are.
 * Source: AWS IoT developer guide, "Location"; botocore's LocationAction; Amazon Location API,
 * BatchUpdateDevicePosition */
#include <math.h>
#include <stdlib.h>

#include "api/timestamp.h"
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotLocationAction *)action)->tracker_name;
}

static bool read_degrees(Arena *arena, Str s, double most, double *out) {
    char *text = str_dup_c(arena, str_trim(s)), *end;
    *out = strtod(text, &end);
    return *text && !*end && isfinite(*out) && *out >= -most && *out <= most;
}

/* Errors: ERR_INVALID */
static Err sample_time(const ActionItem *item, const IotLocationTimestamp *t, int64_t *ms) {
    static const struct {
        Str unit;
        int64_t times, part;
    } UNITS[] = { { STR_INIT("SECONDS"), 1000, 1 },
                  { STR_INIT("MILLISECONDS"), 1, 1 },
                  { STR_INIT("MICROSECONDS"), 1, 1000 },
                  { STR_INIT("NANOSECONDS"), 1, 1000000 } };
    int64_t value;
    *ms = item->time_ms;
    if (!t) return OK;
    if (str_to_i64(t->value, &value) != OK || value < 0 || value > INT64_MAX / 1000) return ERR_INVALID;
    Str unit = t->unit.len ? t->unit : S("MILLISECONDS");
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
        if (str_eq(unit, UNITS[i].unit)) {
            *ms = value * UNITS[i].times / UNITS[i].part;
            return OK;
        }
    return ERR_INVALID;
}

/* What the service refuses of an update it says in a 200. */
static void updated(void *ctx, const AwsAnswer *answer) {
    ActionRun *run = ctx;
    yyjson_val *o;
    if (answer->result != OK) {
        action_aws_failed(run, answer);
        return;
    }
    bool json = json_read(run->arena, answer->body, true, &o, NULL) == OK;
    yyjson_val *first = json ? yyjson_arr_get_first(json_get(o, S("Errors"))) : NULL,
               *error = json_get(first, S("Error"));
    if (first)
        action_parts_failed(run, "location", 1, 1, str_dup(run->arena, json_str(json_get(error, S("Code")))),
                            str_dup(run->arena, json_str(json_get(error, S("Message")))));
    else
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotLocationAction *a = item->action;
    double latitude, longitude;
    int64_t ms;
    if (!read_degrees(run->arena, a->latitude, 90, &latitude) ||
        !read_degrees(run->arena, a->longitude, 180, &longitude)) {
        action_failed(run, "latitude '%.*s' and longitude '%.*s' are no degrees of -90 to 90 and -180 to 180",
                      PS(a->latitude), PS(a->longitude));
        return;
    }
    if (sample_time(item, a->timestamp, &ms) != OK) {
        action_failed(run, "the timestamp '%.*s' '%.*s' is no whole number with a unit", PS(a->timestamp->value),
                      PS(a->timestamp->unit));
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *updates = yyjson_mut_arr(d), *one = yyjson_mut_arr_add_obj(d, updates),
                   *position = yyjson_mut_arr(d);
    json_add_str(d, one, S("DeviceId"), a->device_id);
    yyjson_mut_arr_add_real(d, position, longitude);
    yyjson_mut_arr_add_real(d, position, latitude);
    yyjson_mut_obj_add_val(d, one, "Position", position);
    json_add_str(d, one, S("SampleTime"), timestamp_iso8601(run->arena, ms));
    yyjson_mut_obj_add_val(d, o, "Updates", updates);
    Str tracker = percent_encode(run->arena, a->tracker_name, false);
    action_aws_call(run,
                    &(AwsRequest){ .service = aws_service(S("location")),
                                   .path = str_format(run->arena, "/tracking/v0/trackers/%.*s/positions", PS(tracker)),
                                   .content_type = S("application/json"),
                                   .body = json_write_mut(run->arena, o) },
                    updated, run);
}

static ActionRight right(Arena *arena, const void *action) {
    Str arn = str_format(arena, "arn:aws:geo:{region}:{account}:tracker/%.*s",
                         PS(((const IotLocationAction *)action)->tracker_name));
    return (ActionRight){ "geo:BatchUpdateDevicePosition", str_dup_c(arena, arn) };
}

const ActionKind ACTION_LOCATION = {
    .member = STR_INIT("location"),
    .failed = STR_INIT("LocationAction"),
    .resource = resource,
    .right_of = right,
    .start = start,
};
