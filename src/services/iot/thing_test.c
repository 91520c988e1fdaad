#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "generated/iot.h"
#include "generated/iot_records.h"
#include "services/testing/cases.h"

static int open(void **state) {
    return fixture_case_open(state, &iot_service);
}

/* pairs: name, value, …, NULL */
static IotAttributePayload *attributes(Fixture *f, int merge, ...) {
    IotAttributePayload *p = arena_new(&f->arena, IotAttributePayload);
    *p = (IotAttributePayload){ .attributes = { arena_array(&f->arena, StrPair, 64), 0, true },
                                .merge = { true, merge != 0 } };
    va_list args;
    va_start(args, merge);
    for (const char *name; (name = va_arg(args, const char *));)
        p->attributes.items[p->attributes.n++] = (StrPair){ str_c(name), str_c(va_arg(args, const char *)) };
    va_end(args);
    return p;
}

static Err create(Fixture *f, const char *name, const char *type, IotAttributePayload *a) {
    IotCreateThingIn in = { .thing_name = str_c(name), .thing_type_name = str_c(type), .attribute_payload = a };
    return FIXTURE_CALL(f, "CreateThing", &in, (IotCreateThingOut *)NULL);
}

static IotDescribeThingOut describe(Fixture *f, const char *name) {
    IotDescribeThingOut out = { 0 };
    IotDescribeThingIn in = { .thing_name = str_c(name) };
    assert_int_equal(FIXTURE_CALL(f, "DescribeThing", &in, &out), OK);
    return out;
}

static void expect_attributes(Fixture *f, const char *thing, const char *want) {
    IotDescribeThingOut t = describe(f, thing);
    Str got = S("");
    for (size_t i = 0; i < t.attributes.n; i++)
        got = str_format(&f->arena, "%.*s%.*s=%.*s;", PS(got), PS(t.attributes.items[i].key),
                         PS(t.attributes.items[i].value));
    if (!str_eq(got, str_c(want))) fail_msg("got %.*s want %s", PS(got), want);
}

static void create_type(Fixture *f, const char *name) {
    IotCreateThingTypeIn in = { .thing_type_name = str_c(name) };
    assert_int_equal(FIXTURE_CALL(f, "CreateThingType", &in, (IotCreateThingTypeOut *)NULL), OK);
}

static Err deprecate(Fixture *f, const char *name, bool undo) {
    IotDeprecateThingTypeIn in = { .thing_type_name = str_c(name), .undo_deprecate = { true, undo } };
    return FIXTURE_CALL(f, "DeprecateThingType", &in, (IotDeprecateThingTypeOut *)NULL);
}

static Err delete_type(Fixture *f, const char *name) {
    IotDeleteThingTypeIn in = { .thing_type_name = str_c(name) };
    return FIXTURE_CALL(f, "DeleteThingType", &in, (IotDeleteThingTypeOut *)NULL);
}

static void a_thing_is_created_once_and_again_with_the_same_settings(void **state) {
    Fixture *f = *state;
    IotCreateThingOut first, again;
    IotCreateThingIn in = { .thing_name = S("lamp"),
                            .attribute_payload = attributes(f, false, "a", "1", "b", "2", NULL) };
    assert_int_equal(FIXTURE_CALL(f, "CreateThing", &in, &first), OK);
    assert_true(str_eq(first.thing_arn, S("arn:aws:iot:us-east-1:123456789012:thing/lamp")));
    assert_int_equal(first.thing_id.len, 36);
    in.attribute_payload = attributes(f, false, "b", "2", "a", "1", NULL);
    assert_int_equal(FIXTURE_CALL(f, "CreateThing", &in, &again), OK);
    assert_true(str_eq(first.thing_id, again.thing_id));
    expect_error(f, create(f, "lamp", NULL, attributes(f, false, "a", "2", NULL)), "ResourceAlreadyExistsException",
                 "Thing lamp already exists in account with different attributes");
    assert_true(str_eq(f->resource_arn, first.thing_arn));
    create_type(f, "T");
    expect_error(f, create(f, "lamp", "T", in.attribute_payload), "ResourceAlreadyExistsException", "lamp");
    IotDescribeThingOut t = describe(f, "lamp");
    assert_true(str_eq(t.default_client_id, S("lamp")));
    assert_int_equal(t.version.v, 1);
    assert_null(t.thing_type_name.ptr);
    expect_attributes(f, "lamp", "a=1;b=2;");
}

static void a_thing_without_a_type_has_three_attributes_at_most(void **state) {
    Fixture *f = *state;
    IotAttributePayload *four = attributes(f, false, "a", "1", "b", "2", "c", "3", "d", "4", NULL);
    expect_error(f, create(f, "lamp", NULL, four), "InvalidRequestException", "4 attributes are more than");
    create_type(f, "T");
    assert_int_equal(create(f, "lamp", "T", four), OK);
    four->attributes.n = 0;
    for (int i = 0; i < 51; i++)
        four->attributes.items[four->attributes.n++] = (StrPair){ str_format(&f->arena, "a%d", i), S("v") };
    expect_error(f, create(f, "other", "T", four), "InvalidRequestException", "51 attributes are more than");
    expect_error(f, create(f, "other", NULL, attributes(f, false, "a b", "1", NULL)), "InvalidRequestException", "");
    expect_error(f, create(f, "no spaces", NULL, NULL), "InvalidRequestException", "");
    IotUpdateThingIn in = { .thing_name = S("lamp"), .remove_thing_type = { true, true } };
    expect_error(f, FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), "InvalidRequestException",
                 "more than the maximum of 3");
}

static void an_update_merges_replaces_and_removes_and_counts_versions(void **state) {
    Fixture *f = *state;
    assert_int_equal(create(f, "lamp", NULL, attributes(f, false, "a", "1", "b", "2", "empty", "", NULL)), OK);
    expect_attributes(f, "lamp", "a=1;b=2;");
    IotUpdateThingIn in = { .thing_name = S("lamp"),
                            .attribute_payload = attributes(f, true, "b", "", "c", "3", NULL) };
    in.expected_version = (OptInt){ true, 1 };
    assert_int_equal(FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), OK);
    assert_int_equal(f->outbox_n, 1); /* the directory is told */
    expect_attributes(f, "lamp", "a=1;c=3;");
    expect_error(f, FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), "VersionConflictException",
                 "version 1");
    in.expected_version.set = false;
    in.attribute_payload = attributes(f, false, "z", "9", NULL);
    assert_int_equal(FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), OK);
    expect_attributes(f, "lamp", "z=9;");
    in.attribute_payload = NULL;
    assert_int_equal(FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), OK);
    expect_attributes(f, "lamp", "z=9;");
    assert_int_equal(describe(f, "lamp").version.v, 4);
    in.thing_name = S("nobody");
    expect_error(f, FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), "ResourceNotFoundException",
                 "nobody");
    in = (IotUpdateThingIn){ .thing_name = S("lamp"), .thing_type_name = S("T"), .remove_thing_type = { true, true } };
    expect_error(f, FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), "InvalidRequestException", "T");
}

static void a_thing_is_not_deleted_while_a_principal_is_attached(void **state) {
    Fixture *f = *state;
    assert_int_equal(create(f, "lamp", NULL, NULL), OK);
    Tenant tenant = { f->account, f->region };
    ThingPrincipalRecord p = { .thing_name = S("lamp"),
                               .principal = S("arn:aws:iot:us-east-1:123456789012:cert/x"),
                               .thing_principal_type = S("NON_EXCLUSIVE_THING") };
    Txn *txn = fixture_txn(f);
    assert_int_equal(thing_principal_record_put(txn, tenant, &p), OK);
    fixture_commit(f, txn);
    IotDeleteThingIn in = { .thing_name = S("lamp") };
    expect_error(f, FIXTURE_CALL(f, "DeleteThing", &in, (IotDeleteThingOut *)NULL), "InvalidRequestException",
                 "Cannot delete. Thing lamp is still attached to one or more principals");
    txn = fixture_txn(f);
    assert_int_equal(thing_principal_record_delete(txn, tenant, p.thing_name, p.principal), OK);
    fixture_commit(f, txn);
    in.expected_version = (OptInt){ true, 2 };
    expect_error(f, FIXTURE_CALL(f, "DeleteThing", &in, (IotDeleteThingOut *)NULL), "VersionConflictException", "lamp");
    in.expected_version.v = 1;
    assert_int_equal(FIXTURE_CALL(f, "DeleteThing", &in, (IotDeleteThingOut *)NULL), OK);
    assert_int_equal(FIXTURE_CALL(f, "DeleteThing", &in, (IotDeleteThingOut *)NULL), OK);
    IotDescribeThingIn describe_in = { .thing_name = S("lamp") };
    expect_error(f, FIXTURE_CALL(f, "DescribeThing", &describe_in, (IotDescribeThingOut *)NULL),
                 "ResourceNotFoundException", "Thing lamp cannot be found.");
}

/* The names of all pages, joined. */
static Str list(Fixture *f, IotListThingsIn in, int64_t page, size_t *pages) {
    IotListThingsOut out;
    Str got = S("");
    in.max_results = (OptInt){ true, page };
    *pages = 0;
    do {
        assert_int_equal(FIXTURE_CALL(f, "ListThings", &in, &out), OK);
        assert_true(out.things.n <= (size_t)page);
        for (size_t i = 0; i < out.things.n; i++)
            got = str_format(&f->arena, "%.*s%.*s ", PS(got), PS(out.things.items[i].thing_name));
        in.next_token = out.next_token;
        ++*pages;
    } while (in.next_token.ptr);
    return got;
}

static void things_are_listed_by_type_and_attribute_in_pages(void **state) {
    Fixture *f = *state;
    size_t pages;
    create_type(f, "T");
    create_type(f, "U");
    assert_int_equal(create(f, "c", "T", attributes(f, false, "room", "attic-1", NULL)), OK);
    assert_int_equal(create(f, "a", "T", attributes(f, false, "room", "cellar", NULL)), OK);
    assert_int_equal(create(f, "d", NULL, attributes(f, false, "room", "attic-2", "x", "1", NULL)), OK);
    assert_int_equal(create(f, "b", "U", NULL), OK);
    assert_true(str_eq(list(f, (IotListThingsIn){ 0 }, 250, &pages), S("a b c d ")));
    assert_int_equal(pages, 1);
    assert_true(str_eq(list(f, (IotListThingsIn){ 0 }, 2, &pages), S("a b c d ")));
    assert_int_equal(pages, 2);
    assert_true(str_eq(list(f, (IotListThingsIn){ 0 }, 3, &pages), S("a b c d ")));
    assert_true(str_eq(list(f, (IotListThingsIn){ .thing_type_name = S("T") }, 1, &pages), S("a c ")));
    assert_int_equal(pages, 2);
    IotListThingsIn in = { .attribute_name = S("room"), .attribute_value = S("attic-1") };
    assert_true(str_eq(list(f, in, 10, &pages), S("c ")));
    in.attribute_value = S("attic-");
    assert_true(str_eq(list(f, in, 10, &pages), S("")));
    in.use_prefix_attribute_value = (OptBool){ true, true };
    assert_true(str_eq(list(f, in, 1, &pages), S("c d ")));
    in.thing_type_name = S("T");
    assert_true(str_eq(list(f, in, 1, &pages), S("c ")));
    in = (IotListThingsIn){ .next_token = S("AAAA") };
    expect_error(f, FIXTURE_CALL(f, "ListThings", &in, (IotListThingsOut *)NULL), "InvalidRequestException",
                 "next token");
    in = (IotListThingsIn){ .attribute_value = S("x") };
    expect_error(f, FIXTURE_CALL(f, "ListThings", &in, (IotListThingsOut *)NULL), "InvalidRequestException",
                 "attributeName");
}

static void a_deprecated_type_takes_no_things_until_it_is_undone(void **state) {
    Fixture *f = *state;
    expect_error(f, create(f, "lamp", "T", NULL), "ResourceNotFoundException", "Thing type T cannot be found.");
    create_type(f, "T");
    assert_int_equal(deprecate(f, "T", false), OK);
    expect_error(f, create(f, "lamp", "T", NULL), "InvalidRequestException",
                 "Can not create new thing with deprecated thing type:T");
    IotDescribeThingTypeIn in = { .thing_type_name = S("T") };
    IotDescribeThingTypeOut out;
    assert_int_equal(FIXTURE_CALL(f, "DescribeThingType", &in, &out), OK);
    assert_true(out.thing_type_metadata->deprecated.v && out.thing_type_metadata->deprecation_date.set);
    assert_int_equal(deprecate(f, "T", true), OK);
    assert_int_equal(FIXTURE_CALL(f, "DescribeThingType", &in, &out), OK);
    assert_false(out.thing_type_metadata->deprecated.v || out.thing_type_metadata->deprecation_date.set);
    assert_int_equal(create(f, "lamp", "T", NULL), OK);
    expect_error(f, deprecate(f, "none", false), "ResourceNotFoundException", "none");
}

/* Source: Terraform's provider retries on this sentence alone */
static void a_type_is_deleted_five_minutes_after_its_deprecation(void **state) {
    Fixture *f = *state;
    create_type(f, "T");
    assert_int_equal(create(f, "lamp", "T", NULL), OK);
    expect_error(f, delete_type(f, "T"), "InvalidRequestException", "deprecated first");
    assert_int_equal(deprecate(f, "T", false), OK);
    f->now_ms += 5 * 60 * 1000 - 1;
    assert_int_equal(deprecate(f, "T", false), OK); /* keeps its date */
    expect_error(f, delete_type(f, "T"), "InvalidRequestException",
                 "Please wait for 5 minutes after deprecation and then retry");
    f->now_ms += 1;
    expect_error(f, delete_type(f, "T"), "InvalidRequestException", "Things are associated");
    IotUpdateThingIn in = { .thing_name = S("lamp"), .remove_thing_type = { true, true } };
    assert_int_equal(FIXTURE_CALL(f, "UpdateThing", &in, (IotUpdateThingOut *)NULL), OK);
    assert_int_equal(delete_type(f, "T"), OK);
    expect_error(f, delete_type(f, "T"), "ResourceNotFoundException", "T");
}

static void a_type_stays_as_it_was_created(void **state) {
    Fixture *f = *state;
    IotThingTypeProperties p = { .thing_type_description = S("a lamp"),
                                 .searchable_attributes = { (Str[]){ S("room"), S("x") }, 2, true } };
    IotCreateThingTypeIn in = { .thing_type_name = S("T"), .thing_type_properties = &p };
    assert_int_equal(FIXTURE_CALL(f, "CreateThingType", &in, (IotCreateThingTypeOut *)NULL), OK);
    assert_int_equal(FIXTURE_CALL(f, "CreateThingType", &in, (IotCreateThingTypeOut *)NULL), OK);
    p.thing_type_description = S("other");
    expect_error(f, FIXTURE_CALL(f, "CreateThingType", &in, (IotCreateThingTypeOut *)NULL),
                 "ResourceAlreadyExistsException", "T");
    p.searchable_attributes = (StrList){ (Str[]){ S("a"), S("b"), S("c"), S("d") }, 4, true };
    in.thing_type_name = S("U");
    expect_error(f, FIXTURE_CALL(f, "CreateThingType", &in, (IotCreateThingTypeOut *)NULL), "InvalidRequestException",
                 "4");
    IotPropagatingAttribute a = { .user_property_key = S("r"), .thing_attribute = S("room") };
    IotMqtt5Configuration m = { .propagating_attributes = { &a, 1, true } };
    IotThingTypeProperties only = { .mqtt5_configuration = &m };
    IotUpdateThingTypeIn update = { .thing_type_name = S("T"), .thing_type_properties = &only };
    assert_int_equal(FIXTURE_CALL(f, "UpdateThingType", &update, (IotUpdateThingTypeOut *)NULL), OK);
    IotDescribeThingTypeIn describe_in = { .thing_type_name = S("T") };
    IotDescribeThingTypeOut out;
    assert_int_equal(FIXTURE_CALL(f, "DescribeThingType", &describe_in, &out), OK);
    assert_true(str_eq(out.thing_type_properties->thing_type_description, S("a lamp")));
    assert_int_equal(out.thing_type_properties->searchable_attributes.n, 2);
    const IotPropagatingAttributeList *kept = &out.thing_type_properties->mqtt5_configuration->propagating_attributes;
    assert_true(kept->n == 1 && str_eq(kept->items[0].user_property_key, S("r")) &&
                str_eq(kept->items[0].thing_attribute, S("room")) && !kept->items[0].connection_attribute.ptr);
    update.thing_type_properties = &p;
    expect_error(f, FIXTURE_CALL(f, "UpdateThingType", &update, (IotUpdateThingTypeOut *)NULL),
                 "InvalidRequestException", "cannot be changed");
    IotListThingTypesIn list_in = { .max_results = { true, 1 } };
    IotListThingTypesOut listed;
    create_type(f, "V");
    assert_int_equal(FIXTURE_CALL(f, "ListThingTypes", &list_in, &listed), OK);
    assert_true(listed.thing_types.n == 1 && listed.next_token.ptr);
    list_in.next_token = listed.next_token;
    assert_int_equal(FIXTURE_CALL(f, "ListThingTypes", &list_in, &listed), OK);
    assert_true(str_eq(listed.thing_types.items[0].thing_type_name, S("V")) && !listed.next_token.ptr);
}

#define iot_test(name) cmocka_unit_test_setup_teardown(name, open, fixture_case_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        iot_test(a_thing_is_created_once_and_again_with_the_same_settings),
        iot_test(a_thing_without_a_type_has_three_attributes_at_most),
        iot_test(an_update_merges_replaces_and_removes_and_counts_versions),
        iot_test(a_thing_is_not_deleted_while_a_principal_is_attached),
        iot_test(things_are_listed_by_type_and_attribute_in_pages),
        iot_test(a_deprecated_type_takes_no_things_until_it_is_undone),
        iot_test(a_type_is_deleted_five_minutes_after_its_deprecation),
        iot_test(a_type_stays_as_it_was_created),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
