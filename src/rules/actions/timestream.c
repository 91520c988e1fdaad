/* Timestream: each attribute of the result is a record; they share the action's dimensions and time.
 * Source: AWS IoT developer guide, "Timestream"; botocore's TimestreamAction; Timestream Write API, WriteRecords */
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { RECORDS_MAX = 100, VARCHAR_BYTES_MAX = 2048 };

static Str resource(Arena *arena, const void *action) {
    const IotTimestreamAction *a = action;
    return str_format(arena, "%.*s/%.*s", PS(a->database_name), PS(a->table_name));
}

static const Str UNITS[] = { STR_INIT("SECONDS"), STR_INIT("MILLISECONDS"), STR_INIT("MICROSECONDS"),
                             STR_INIT("NANOSECONDS") };

static bool is_unit(Str s) {
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
        if (str_eq(s, UNITS[i])) return true;
    return false;
}

/* Source: the guide's table of the action's dimensions: these names are Timestream's own */
static bool is_dimension(Str name) {
    static const Str OWN[] = { STR_INIT("measure_name"), STR_INIT("measure_value"), STR_INIT("time") };
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (str_eq(name, OWN[i])) return false;
    return name.len && !str_starts(name, S("ts_")) && !str_starts(name, S("measure_value")) &&
           str_find(name, ':') == SIZE_MAX;
}

static Err check(ActionCheck *c, const void *action) {
    const IotTimestreamAction *a = action;
    for (size_t i = 0; i < a->dimensions.n; i++)
        if (!is_dimension(a->dimensions.items[i].name))
            return action_refuse(c, "'%.*s' may not be a dimension's name", PS(a->dimensions.items[i].name));
    if (a->timestamp && str_find_str(a->timestamp->unit, S("${")) == SIZE_MAX && !is_unit(a->timestamp->unit))
        return action_refuse(c, "unit '%.*s' is none of SECONDS, MILLISECONDS, MICROSECONDS, NANOSECONDS",
                             PS(a->timestamp->unit));
    return OK;
}

static const char *type_of(yyjson_val *v, Str text) {
    if (yyjson_is_bool(v)) return "BOOLEAN";
    if (!yyjson_is_raw(v)) return "VARCHAR";
    int64_t whole;
    return str_to_i64(text, &whole) == OK ? "BIGINT" : "DOUBLE";
}

static yyjson_mut_val *dimensions(const IotTimestreamAction *a, yyjson_mut_doc *d) {
    yyjson_mut_val *list = yyjson_mut_arr(d);
    for (size_t i = 0; i < a->dimensions.n; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, list);
        json_add_str(d, one, S("Name"), a->dimensions.items[i].name);
        json_add_str(d, one, S("Value"), a->dimensions.items[i].value);
    }
    return list;
}

/* Null has no measure. Errors: ERR_INVALID with *why */
static Err add_records(ActionRun *run, yyjson_val *object, yyjson_mut_doc *d, yyjson_mut_val *records, Str *why) {
    const IotTimestreamAction *a = run->items[0].action;
    Str time = a->timestamp ? a->timestamp->value : str_format(run->arena, "%lld", (long long)run->items[0].time_ms);
    yyjson_val *key, *v;
    size_t i, n;
    yyjson_obj_foreach(object, i, n, key, v) {
        if (yyjson_is_null(v)) continue;
        Str text = yyjson_is_str(v) || yyjson_is_raw(v) ? json_str(v) : json_write(run->arena, v);
        const char *type = type_of(v, text);
        if (text.len > VARCHAR_BYTES_MAX) {
            *why = str_format(run->arena, "the value of '%.*s' has %zu bytes, at most %d are possible",
                              PS(json_str(key)), text.len, VARCHAR_BYTES_MAX);
            return ERR_INVALID;
        }
        yyjson_mut_val *r = yyjson_mut_arr_add_obj(d, records);
        json_add_str(d, r, S("MeasureName"), json_str(key));
        json_add_str(d, r, S("MeasureValue"), text);
        json_add_str(d, r, S("MeasureValueType"), str_c(type));
        yyjson_mut_obj_add_val(d, r, "Dimensions", dimensions(a, d));
        json_add_str(d, r, S("Time"), time);
        json_add_str(d, r, S("TimeUnit"), a->timestamp ? a->timestamp->unit : S("MILLISECONDS"));
    }
    n = yyjson_mut_arr_size(records);
    *why = str_format(run->arena, "the result has %zu attributes with a value, 1 to %d are expected", n, RECORDS_MAX);
    return n && n <= RECORDS_MAX ? OK : ERR_INVALID;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotTimestreamAction *a = item->action;
    yyjson_val *object;
    Str why = S("the result of the SQL statement is no object");
    int64_t time = 0;
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *records = yyjson_mut_arr(d);
    bool good = json_read(run->arena, item->payload, true, &object, NULL) == OK && yyjson_is_obj(object) &&
                add_records(run, object, d, records, &why) == OK;
    if (good && a->timestamp && (str_to_i64(a->timestamp->value, &time) != OK || !is_unit(a->timestamp->unit))) {
        good = false;
        why = str_format(run->arena, "the timestamp '%.*s' '%.*s' is no whole number with a unit",
                         PS(a->timestamp->value), PS(a->timestamp->unit));
    }
    if (!good) {
        action_failed(run, "%.*s", PS(why));
        return;
    }
    json_add_str(d, o, S("DatabaseName"), a->database_name);
    json_add_str(d, o, S("TableName"), a->table_name);
    yyjson_mut_obj_add_val(d, o, "Records", records);
    action_aws_json(run, "timestream-write", "WriteRecords", d, o, NULL);
}

static ActionRight right(Arena *arena, const void *action) {
    const IotTimestreamAction *a = action;
    Str arn = str_format(arena, "arn:aws:timestream:{region}:{account}:database/%.*s/table/%.*s", PS(a->database_name),
                         PS(a->table_name));
    return (ActionRight){ "timestream:WriteRecords", str_dup_c(arena, arn) };
}

static const char *const LITERAL[] = { "name", NULL };

const ActionKind ACTION_TIMESTREAM = {
    .member = STR_INIT("timestream"),
    .failed = STR_INIT("TimestreamAction"),
    .literal = LITERAL,
    .check = check,
    .resource = resource,
    .right_of = right,
    .start = start,
    .json_only = true,
};
