/* IoT SiteWise: values for properties of assets of this server. All of them are templates, so numbers come as texts.
 * Source: AWS IoT developer guide, "IoT SiteWise"; botocore's IotSiteWiseAction and BatchPutAssetPropertyValue */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "generated/iot.h"
#include "generated/iotsitewise.h"
#include "rules/actions/kinds.h"
#include "rules/actions/operation.h"

enum { ENTRIES_MAX = 10, VALUES_MAX = 10 };
static const int64_t NANOS = 1000000000;

static Str resource(Arena *arena, const void *action) {
    const IotIotSiteWiseAction *a = action;
    if (a->put_asset_property_value_entries.n == 0) return S("");
    const IotPutAssetPropertyValueEntry *e = &a->put_asset_property_value_entries.items[0];
    return e->property_alias.len ? e->property_alias
                                 : str_format(arena, "%.*s/%.*s", PS(e->asset_id), PS(e->property_id));
}

static Err check_value(ActionCheck *c, const IotAssetPropertyValue *v) {
    const IotAssetPropertyVariant *x = v->value;
    int n = !!x->string_value.ptr + !!x->integer_value.ptr + !!x->double_value.ptr + !!x->boolean_value.ptr;
    if (n == 1) return OK;
    return action_refuse(
        c, "A value has exactly one of stringValue, integerValue, doubleValue and booleanValue, got %d", n);
}

static Err check(ActionCheck *c, const void *action) {
    const IotPutAssetPropertyValueEntryList *list =
        &((const IotIotSiteWiseAction *)action)->put_asset_property_value_entries;
    if (list->n == 0 || list->n > ENTRIES_MAX)
        return action_refuse(c, "An iotSiteWise action has 1 to %d entries, got %zu", ENTRIES_MAX, list->n);
    Err err = OK;
    for (size_t i = 0; err == OK && i < list->n; i++) {
        const IotPutAssetPropertyValueEntry *e = &list->items[i];
        if (e->property_alias.ptr ? e->asset_id.ptr || e->property_id.ptr : !e->asset_id.ptr || !e->property_id.ptr)
            return action_refuse(c, "An entry has either propertyAlias, or assetId and propertyId");
        for (size_t k = 0; err == OK && k < e->property_values.n; k++)
            err = check_value(c, &e->property_values.items[k]);
    }
    return err;
}

/* ------------------------------------------------------------------------------------------------ from texts */

static bool number_of(Str text, Arena *arena, double *out) {
    char *end, *s = str_dup_c(arena, text);
    errno = 0;
    *out = strtod(s, &end);
    return text.len && *end == '\0' && errno == 0 && isfinite(*out);
}

/* NULL, or what is wrong. */
static const char *variant_of(const IotAssetPropertyVariant *x, Arena *arena, IotsitewiseVariant *v) {
    if (x->string_value.ptr) v->string_value = x->string_value;
    if (x->integer_value.ptr) {
        v->integer_value.set = true;
        if (str_to_i64(x->integer_value, &v->integer_value.v) != OK) return "integerValue is no integer";
    }
    if (x->double_value.ptr) {
        v->double_value.set = true;
        if (!number_of(x->double_value, arena, &v->double_value.v)) return "doubleValue is no number";
    }
    if (x->boolean_value.ptr) {
        v->boolean_value = (OptBool){ true, str_eq_nocase(x->boolean_value, S("true")) };
        if (!v->boolean_value.v && !str_eq_nocase(x->boolean_value, S("false")))
            return "booleanValue is neither true nor false";
    }
    return NULL;
}

static const char *value_of(const IotAssetPropertyValue *from, Arena *arena, IotsitewiseAssetPropertyValue *to) {
    to->timestamp = arena_new(arena, IotsitewiseTimeInNanos);
    to->value = arena_new(arena, IotsitewiseVariant);
    to->quality = from->quality.len ? from->quality : STR_NONE;
    IotsitewiseTimeInNanos *t = to->timestamp;
    t->time_in_seconds.set = true;
    if (str_to_i64(from->timestamp->time_in_seconds, &t->time_in_seconds.v) != OK)
        return "timeInSeconds is no number of seconds";
    if (from->timestamp->offset_in_nanos.len) {
        t->offset_in_nanos.set = true;
        if (str_to_i64(from->timestamp->offset_in_nanos, &t->offset_in_nanos.v) != OK || t->offset_in_nanos.v < 0 ||
            t->offset_in_nanos.v >= NANOS)
            return "offsetInNanos is no number from 0 to 999999999";
    }
    return variant_of(from->value, arena, to->value);
}

static const char *entries_of(ActionRun *run, const IotIotSiteWiseAction *a,
                              IotsitewisePutAssetPropertyValueEntries *out) {
    const IotPutAssetPropertyValueEntryList *list = &a->put_asset_property_value_entries;
    const char *why = NULL;
    out->items = arena_array(run->arena, IotsitewisePutAssetPropertyValueEntry, list->n);
    out->set = true;
    for (size_t i = 0; !why && i < list->n; i++) {
        const IotPutAssetPropertyValueEntry *from = &list->items[i];
        IotsitewisePutAssetPropertyValueEntry *to = &out->items[out->n++];
        size_t n = from->property_values.n;
        *to = (IotsitewisePutAssetPropertyValueEntry){
            .entry_id = from->entry_id.len ? from->entry_id : action_uuid(run),
            .asset_id = from->asset_id,
            .property_id = from->property_id,
            .property_alias = from->property_alias,
            .property_values = { arena_array(run->arena, IotsitewiseAssetPropertyValue, n), n, true }
        };
        for (size_t k = 0; !why && k < n; k++)
            why = value_of(&from->property_values.items[k], run->arena, &to->property_values.items[k]);
    }
    return why;
}

static void start(ActionRun *run) {
    IotsitewiseBatchPutAssetPropertyValueIn in = { 0 };
    void *answer;
    const char *why = entries_of(run, run->items[0].action, &in.entries);
    if (why) {
        action_failed(run, "IotSiteWiseAction failed. %s", why);
        return;
    }
    if (!action_operation(run, &iotsitewise_service, "BatchPutAssetPropertyValue", &in, &answer)) return;
    const IotsitewiseBatchPutAssetPropertyValueOut *out = answer;
    if (out->error_entries.n && out->error_entries.items[0].errors.n)
        action_operation_refused(run, out->error_entries.items[0].errors.items[0].error_code,
                                 out->error_entries.items[0].errors.items[0].error_message);
    else
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
}

/* Each asset is one resource; what an alias leads to is not known here, so that "*" must be allowed for it. */
static ActionRight right(Arena *arena, const void *action) {
    const IotPutAssetPropertyValueEntryList *list =
        &((const IotIotSiteWiseAction *)action)->put_asset_property_value_entries;
    Str asset = list->n ? list->items[0].asset_id : STR_NONE;
    bool one = asset.len > 0;
    for (size_t i = 1; i < list->n; i++) one &= str_eq(list->items[i].asset_id, asset);
    Str arn = one ? str_format(arena, "arn:aws:iotsitewise:{region}:{account}:asset/%.*s", PS(asset)) : S("*");
    return (ActionRight){ "iotsitewise:BatchPutAssetPropertyValue", str_dup_c(arena, arn) };
}

const ActionKind ACTION_IOT_SITE_WISE = {
    .member = STR_INIT("iotSiteWise"),
    .failed = STR_INIT("IotSiteWiseAction"),
    .check = check,
    .resource = resource,
    .right_of = right,
    .start = start,
    .waits = true,
};
