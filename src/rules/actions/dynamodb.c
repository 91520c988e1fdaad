/* DynamoDB, two kinds: dynamoDB keeps the whole result in one column of an item whose key the action names;
 * dynamoDBv2 makes each attribute of the result a column.
 * Source: AWS IoT developer guide, "DynamoDB" and "DynamoDBv2"; botocore's DynamoDBAction, DynamoDBv2Action; DynamoDB
 * API, AttributeValue */
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { ITEM_BYTES_MAX = 409600, NESTING_MAX = 32 };

/* ------------------------------------------------------------------------------------------------ values */

static yyjson_mut_val *typed(yyjson_mut_doc *d, yyjson_val *v, int depth);

static yyjson_mut_val *typed_children(yyjson_mut_doc *d, yyjson_val *v, int depth) {
    yyjson_mut_val *to = yyjson_is_obj(v) ? yyjson_mut_obj(d) : yyjson_mut_arr(d), *one;
    yyjson_val *key, *child;
    size_t i, n;
    if (yyjson_is_obj(v)) {
        yyjson_obj_foreach(v, i, n, key, child) {
            if (!(one = typed(d, child, depth + 1))) return NULL;
            yyjson_mut_obj_add(to, json_mut_str(d, json_str(key)), one);
        }
    } else {
        yyjson_arr_foreach(v, i, n, child) {
            if (!(one = typed(d, child, depth + 1))) return NULL;
            yyjson_mut_arr_append(to, one);
        }
    }
    return to;
}

/* A JSON value in DynamoDB's typed form; NULL: it is nested too deep. Numbers keep their digits. */
static yyjson_mut_val *typed(yyjson_mut_doc *d, yyjson_val *v, int depth) {
    yyjson_mut_val *o = yyjson_mut_obj(d), *inner;
    if (yyjson_is_str(v)) {
        json_add_str(d, o, S("S"), json_str(v));
    } else if (yyjson_is_raw(v)) {
        json_add_str(d, o, S("N"), json_str(v));
    } else if (yyjson_is_bool(v)) {
        yyjson_mut_obj_add_bool(d, o, "BOOL", yyjson_get_bool(v));
    } else if (yyjson_is_null(v)) {
        yyjson_mut_obj_add_bool(d, o, "NULL", true);
    } else {
        if (depth >= NESTING_MAX || !(inner = typed_children(d, v, depth))) return NULL;
        yyjson_mut_obj_add_val(d, o, yyjson_is_obj(v) ? "M" : "L", inner);
    }
    return o;
}

static yyjson_mut_val *of_type(yyjson_mut_doc *d, const char *type, Str text) {
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, str_c(type), text);
    return o;
}

static const char DEEP[] = "the result is nested deeper than the 32 levels of an item";

/* ------------------------------------------------------------------------------------------------ dynamoDB */

static Str table(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotDynamoDBAction *)action)->table_name;
}

static bool has_template(Str s) {
    return str_find_str(s, S("${")) != SIZE_MAX;
}

static bool is_operation(Str s) {
    return !s.len || str_eq(s, S("INSERT")) || str_eq(s, S("UPDATE")) || str_eq(s, S("DELETE"));
}

static Err check(ActionCheck *c, const void *action) {
    const IotDynamoDBAction *a = action;
    if (!has_template(a->operation) && !is_operation(a->operation))
        return action_refuse(c, "operation '%.*s' is none of INSERT, UPDATE, DELETE", PS(a->operation));
    if (!a->range_key_field.ptr != !a->range_key_value.ptr)
        return action_refuse(c, "rangeKeyField and rangeKeyValue: one is given, both are expected");
    return OK;
}

static void add_key(yyjson_mut_doc *d, yyjson_mut_val *item, Str field, Str type, Str value) {
    yyjson_mut_obj_add(item, json_mut_str(d, field), of_type(d, str_eq(type, S("NUMBER")) ? "N" : "S", value));
}

static yyjson_mut_val *keys(yyjson_mut_doc *d, const IotDynamoDBAction *a) {
    yyjson_mut_val *item = yyjson_mut_obj(d);
    add_key(d, item, a->hash_key_field, a->hash_key_type, a->hash_key_value);
    if (a->range_key_field.len) add_key(d, item, a->range_key_field, a->range_key_type, a->range_key_value);
    return item;
}

/* The column's value: a map, list, text … of JSON; bytes of anything else. NULL: nested too deep. */
static yyjson_mut_val *column(ActionRun *run, yyjson_mut_doc *d, const ActionItem *item) {
    yyjson_val *v;
    if (item->json && json_read(run->arena, item->payload, true, &v, NULL) == OK) return typed(d, v, 0);
    return of_type(d, "B", base64_encode(run->arena, item->payload));
}

static void put_update(yyjson_mut_doc *d, yyjson_mut_val *o, Str field, yyjson_mut_val *value) {
    yyjson_mut_val *names = yyjson_mut_obj(d), *values = yyjson_mut_obj(d);
    json_add_str(d, names, S("#column"), field);
    yyjson_mut_obj_add_val(d, values, ":result", value);
    json_add_str(d, o, S("UpdateExpression"), S("SET #column = :result"));
    yyjson_mut_obj_add_val(d, o, "ExpressionAttributeNames", names);
    yyjson_mut_obj_add_val(d, o, "ExpressionAttributeValues", values);
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotDynamoDBAction *a = item->action;
    Str field = a->payload_field.len ? a->payload_field : S("payload");
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *key = keys(d, a), *value = column(run, d, item);
    if (!is_operation(a->operation)) {
        action_failed(run, "operation '%.*s' is none of INSERT, UPDATE, DELETE", PS(a->operation));
        return;
    }
    if (!value) {
        action_failed(run, "%s", DEEP);
        return;
    }
    bool update = str_eq(a->operation, S("UPDATE")), delete = str_eq(a->operation, S("DELETE"));
    json_add_str(d, o, S("TableName"), a->table_name);
    if (!update && !delete) yyjson_mut_obj_add(key, json_mut_str(d, field), value);
    if (update) put_update(d, o, field, value);
    yyjson_mut_obj_add_val(d, o, update || delete ? "Key" : "Item", key);
    action_aws_json(run, "dynamodb", update ? "UpdateItem" : delete ? "DeleteItem" : "PutItem", d, o, NULL);
}

static ActionRight right(Arena *arena, const void *action) {
    (void)arena;
    Str operation = ((const IotDynamoDBAction *)action)->operation;
    return (ActionRight){ str_eq(operation, S("UPDATE"))   ? "dynamodb:UpdateItem"
                          : str_eq(operation, S("DELETE")) ? "dynamodb:DeleteItem"
                                                           : "dynamodb:PutItem",
                          "arn:aws:dynamodb:{region}:{account}:table/{}" };
}

static const char *const LITERAL[] = { "hashKeyType", "rangeKeyType", NULL };

const ActionKind ACTION_DYNAMODB = {
    .member = STR_INIT("dynamoDB"),
    .failed = STR_INIT("DynamoDBAction"),
    .literal = LITERAL,
    .check = check,
    .resource = table,
    .right_of = right,
    .start = start,
    .payload_bytes_max = ITEM_BYTES_MAX,
};

/* ------------------------------------------------------------------------------------------------ dynamoDBv2 */

static Str table_v2(Arena *arena, const void *action) {
    (void)arena;
    const IotDynamoDBv2Action *a = action;
    return a->put_item ? a->put_item->table_name : STR_NONE;
}

static void start_v2(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    yyjson_val *v;
    if (json_read(run->arena, item->payload, true, &v, NULL) != OK || !yyjson_is_obj(v)) {
        action_failed(run, "the result of the SQL statement is no object, so it has no columns");
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *columns = typed_children(d, v, 0);
    if (!columns) {
        action_failed(run, "%s", DEEP);
        return;
    }
    json_add_str(d, o, S("TableName"), table_v2(run->arena, item->action));
    yyjson_mut_obj_add_val(d, o, "Item", columns);
    action_aws_json(run, "dynamodb", "PutItem", d, o, NULL);
}

const ActionKind ACTION_DYNAMODB_V2 = {
    .member = STR_INIT("dynamoDBv2"),
    .failed = STR_INIT("DynamoDBv2Action"),
    .resource = table_v2,
    .right = { "dynamodb:PutItem", "arn:aws:dynamodb:{region}:{account}:table/{}" },
    .start = start_v2,
    .payload_bytes_max = ITEM_BYTES_MAX,
    .json_only = true,
};
