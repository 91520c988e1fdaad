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

static Err create_s(Fixture *f, Str name, Str parent) {
    IotCreateThingGroupIn in = { .thing_group_name = name, .parent_group_name = parent };
    return FIXTURE_CALL(f, "CreateThingGroup", &in, (IotCreateThingGroupOut *)NULL);
}

static Err create(Fixture *f, const char *name, const char *parent) {
    return create_s(f, str_c(name), str_c(parent));
}

static Err delete_group(Fixture *f, const char *name) {
    IotDeleteThingGroupIn in = { .thing_group_name = str_c(name) };
    return FIXTURE_CALL(f, "DeleteThingGroup", &in, (IotDeleteThingGroupOut *)NULL);
}

static void create_thing(Fixture *f, const char *name) {
    IotCreateThingIn in = { .thing_name = str_c(name) };
    assert_int_equal(FIXTURE_CALL(f, "CreateThing", &in, (IotCreateThingOut *)NULL), OK);
}

static Err add(Fixture *f, const char *thing, const char *group) {
    IotAddThingToThingGroupIn in = { .thing_name = str_c(thing), .thing_group_name = str_c(group) };
    return FIXTURE_CALL(f, "AddThingToThingGroup", &in, (IotAddThingToThingGroupOut *)NULL);
}

static Err take_out(Fixture *f, const char *thing, const char *group) {
    IotRemoveThingFromThingGroupIn in = { .thing_name = str_c(thing), .thing_group_name = str_c(group) };
    return FIXTURE_CALL(f, "RemoveThingFromThingGroup", &in, (IotRemoveThingFromThingGroupOut *)NULL);
}

/* root -> mid -> leaf, root -> side; other */
static void plant(Fixture *f) {
    assert_int_equal(create(f, "root", NULL), OK);
    assert_int_equal(create(f, "mid", "root"), OK);
    assert_int_equal(create(f, "leaf", "mid"), OK);
    assert_int_equal(create(f, "side", "root"), OK);
    assert_int_equal(create(f, "other", NULL), OK);
}

static Str joined(Fixture *f, Str so_far, Str name) {
    return str_format(&f->arena, "%.*s%.*s ", PS(so_far), PS(name));
}

static void expect_groups(Fixture *f, IotListThingGroupsIn in, const char *want) {
    for (int64_t page = 1; page <= 6; page += 5) {
        Str got = S("");
        IotListThingGroupsOut out;
        in.max_results = (OptInt){ true, page };
        in.next_token = STR_NONE;
        do {
            assert_int_equal(FIXTURE_CALL(f, "ListThingGroups", &in, &out), OK);
            assert_true(out.thing_groups.n <= (size_t)page);
            for (size_t i = 0; i < out.thing_groups.n; i++) got = joined(f, got, out.thing_groups.items[i].group_name);
            in.next_token = out.next_token;
        } while (in.next_token.ptr);
        if (!str_eq(got, str_c(want))) fail_msg("got %.*s want %s", PS(got), want);
    }
}

static void expect_things(Fixture *f, const char *group, bool recursive, const char *want) {
    for (int64_t page = 1; page <= 7; page += 2) {
        Str got = S("");
        IotListThingsInThingGroupIn in = { .thing_group_name = str_c(group), .recursive = { true, recursive } };
        IotListThingsInThingGroupOut out;
        in.max_results = (OptInt){ true, page };
        do {
            assert_int_equal(FIXTURE_CALL(f, "ListThingsInThingGroup", &in, &out), OK);
            assert_true(out.things.n <= (size_t)page);
            for (size_t i = 0; i < out.things.n; i++) got = joined(f, got, out.things.items[i]);
            in.next_token = out.next_token;
        } while (in.next_token.ptr);
        if (!str_eq(got, str_c(want))) fail_msg("got %.*s want %s", PS(got), want);
    }
}

static void expect_groups_of(Fixture *f, const char *thing, const char *want) {
    IotListThingGroupsForThingIn in = { .thing_name = str_c(thing) };
    IotListThingGroupsForThingOut out;
    assert_int_equal(FIXTURE_CALL(f, "ListThingGroupsForThing", &in, &out), OK);
    Str got = S("");
    for (size_t i = 0; i < out.thing_groups.n; i++) got = joined(f, got, out.thing_groups.items[i].group_name);
    if (!str_eq(got, str_c(want))) fail_msg("got %.*s want %s", PS(got), want);
}

static void a_group_knows_its_way_from_the_root(void **state) {
    Fixture *f = *state;
    plant(f);
    IotDescribeThingGroupIn in = { .thing_group_name = S("leaf") };
    IotDescribeThingGroupOut out;
    assert_int_equal(FIXTURE_CALL(f, "DescribeThingGroup", &in, &out), OK);
    const IotThingGroupMetadata *m = out.thing_group_metadata;
    assert_true(str_eq(m->parent_group_name, S("mid")));
    assert_int_equal(m->root_to_parent_thing_groups.n, 2);
    assert_true(str_eq(m->root_to_parent_thing_groups.items[0].group_name, S("root")));
    assert_true(str_eq(m->root_to_parent_thing_groups.items[1].group_arn,
                       S("arn:aws:iot:us-east-1:123456789012:thinggroup/mid")));
    assert_int_equal(m->creation_date.v, FIXTURE_NOW_MS);
    assert_int_equal(out.version.v, 1);
    in.thing_group_name = S("none");
    expect_error(f, FIXTURE_CALL(f, "DescribeThingGroup", &in, (IotDescribeThingGroupOut *)NULL),
                 "ResourceNotFoundException", "none");
}

static void creating_again_succeeds_only_with_the_same_settings(void **state) {
    Fixture *f = *state;
    plant(f);
    assert_int_equal(create(f, "mid", "root"), OK);
    expect_error(f, create(f, "mid", NULL), "ResourceAlreadyExistsException", "mid");
    expect_error(f, create(f, "mid", "other"), "ResourceAlreadyExistsException", "mid");
    assert_true(str_eq(f->resource_arn, S("arn:aws:iot:us-east-1:123456789012:thinggroup/mid")));
    expect_error(f, create(f, "new", "none"), "ResourceNotFoundException", "none");
}

static void a_tree_is_seven_levels_deep_and_a_group_has_a_hundred_children(void **state) {
    Fixture *f = *state;
    Str parent = STR_NONE;
    for (int level = 1; level <= 7; level++) {
        Str name = str_format(&f->arena, "l%d", level);
        assert_int_equal(create_s(f, name, parent), OK);
        parent = name;
    }
    expect_error(f, create(f, "l8", "l7"), "InvalidRequestException", "level 8");
    for (int i = 1; i < 100; i++) assert_int_equal(create_s(f, str_format(&f->arena, "c%d", i), S("l1")), OK);
    expect_error(f, create(f, "c100", "l1"), "InvalidRequestException", "100 child groups");
}

static void an_update_merges_attributes_and_returns_the_version(void **state) {
    Fixture *f = *state;
    plant(f);
    IotAttributePayload a = { .attributes = { (StrPair[]){ { S("k"), S("v") } }, 1, true } };
    IotThingGroupProperties p = { .thing_group_description = S("text"), .attribute_payload = &a };
    IotUpdateThingGroupIn in = { .thing_group_name = S("root"),
                                 .thing_group_properties = &p,
                                 .expected_version = { true, 1 } };
    IotUpdateThingGroupOut out;
    assert_int_equal(FIXTURE_CALL(f, "UpdateThingGroup", &in, &out), OK);
    assert_int_equal(out.version.v, 2);
    expect_error(f, FIXTURE_CALL(f, "UpdateThingGroup", &in, (IotUpdateThingGroupOut *)NULL),
                 "VersionConflictException", "version 2");
    IotDescribeThingGroupIn describe_in = { .thing_group_name = S("root") };
    IotDescribeThingGroupOut got;
    assert_int_equal(FIXTURE_CALL(f, "DescribeThingGroup", &describe_in, &got), OK);
    assert_true(str_eq(got.thing_group_properties->thing_group_description, S("text")));
    assert_int_equal(got.thing_group_properties->attribute_payload->attributes.n, 1);
}

static void groups_are_listed_by_parent_prefix_and_depth(void **state) {
    Fixture *f = *state;
    plant(f);
    expect_groups(f, (IotListThingGroupsIn){ 0 }, "leaf mid other root side ");
    expect_groups(f, (IotListThingGroupsIn){ .recursive = { true, false } }, "other root ");
    expect_groups(f, (IotListThingGroupsIn){ .parent_group = S("root"), .recursive = { true, false } }, "mid side ");
    expect_groups(f, (IotListThingGroupsIn){ .parent_group = S("root") }, "leaf mid side ");
    expect_groups(f, (IotListThingGroupsIn){ .parent_group = S("root"), .name_prefix_filter = S("l") }, "leaf ");
    expect_groups(f, (IotListThingGroupsIn){ .name_prefix_filter = S("x") }, "");
    IotListThingGroupsIn in = { .parent_group = S("none") };
    expect_error(f, FIXTURE_CALL(f, "ListThingGroups", &in, (IotListThingGroupsOut *)NULL), "ResourceNotFoundException",
                 "none");
}

static void a_thing_is_in_one_group_of_a_tree_and_in_ten_at_most(void **state) {
    Fixture *f = *state;
    plant(f);
    create_thing(f, "lamp");
    assert_int_equal(add(f, "lamp", "leaf"), OK);
    assert_int_equal(f->outbox_n, 1);
    assert_int_equal(add(f, "lamp", "leaf"), OK);
    assert_int_equal(f->outbox_n, 0);
    expect_error(f, add(f, "lamp", "root"), "InvalidRequestException", "root root in common");
    expect_error(f, add(f, "lamp", "side"), "InvalidRequestException", "leaf");
    expect_error(f, add(f, "nobody", "side"), "ResourceNotFoundException", "Thing nobody");
    expect_error(f, add(f, "lamp", "none"), "ResourceNotFoundException", "Thing group none");
    for (int i = 2; i <= 10; i++) {
        Str name = str_format(&f->arena, "g%d", i);
        assert_int_equal(create_s(f, name, STR_NONE), OK);
        assert_int_equal(add(f, "lamp", str_dup_c(&f->arena, name)), OK);
    }
    expect_error(f, add(f, "lamp", "other"), "InvalidRequestException", "the maximum is 10");
    assert_int_equal(take_out(f, "lamp", "g10"), OK);
    assert_int_equal(take_out(f, "lamp", "g10"), OK);
    assert_int_equal(add(f, "lamp", "other"), OK);
    expect_groups_of(f, "lamp", "g2 g3 g4 g5 g6 g7 g8 g9 leaf other ");
}

static void members_are_named_by_arn_too(void **state) {
    Fixture *f = *state;
    plant(f);
    create_thing(f, "lamp");
    IotAddThingToThingGroupIn in = { .thing_arn = S("arn:aws:iot:us-east-1:123456789012:thing/lamp"),
                                     .thing_group_arn = S("arn:aws:iot:us-east-1:123456789012:thinggroup/mid") };
    assert_int_equal(FIXTURE_CALL(f, "AddThingToThingGroup", &in, (IotAddThingToThingGroupOut *)NULL), OK);
    expect_things(f, "mid", false, "lamp ");
    in.thing_group_arn = S("arn:aws:iot:us-east-1:123456789012:thing/mid");
    expect_error(f, FIXTURE_CALL(f, "AddThingToThingGroup", &in, (IotAddThingToThingGroupOut *)NULL),
                 "InvalidRequestException", "Invalid ARN");
    in.thing_group_arn = STR_NONE;
    expect_error(f, FIXTURE_CALL(f, "AddThingToThingGroup", &in, (IotAddThingToThingGroupOut *)NULL),
                 "InvalidRequestException", "missing");
    in.thing_name = S("other");
    expect_error(f, FIXTURE_CALL(f, "AddThingToThingGroup", &in, (IotAddThingToThingGroupOut *)NULL),
                 "InvalidRequestException", "not the same");
}

static void things_of_a_tree_are_listed_in_pages_of_every_size(void **state) {
    Fixture *f = *state;
    plant(f);
    static const char *const where[][2] = { { "a", "leaf" }, { "b", "root" }, { "c", "side" },
                                            { "d", "mid" },  { "e", "leaf" }, { "f", "other" } };
    for (size_t i = 0; i < 6; i++) {
        create_thing(f, where[i][0]);
        assert_int_equal(add(f, where[i][0], where[i][1]), OK);
    }
    expect_things(f, "root", true, "b d a e c "); /* root, mid, leaf, side */
    expect_things(f, "root", false, "b ");
    expect_things(f, "leaf", true, "a e ");
    expect_things(f, "other", true, "f ");
}

static void a_thing_moves_within_its_tree_in_one_call(void **state) {
    Fixture *f = *state;
    plant(f);
    create_thing(f, "lamp");
    assert_int_equal(add(f, "lamp", "leaf"), OK);
    IotUpdateThingGroupsForThingIn in = { .thing_name = S("lamp"),
                                          .thing_groups_to_add = { (Str[]){ S("side"), S("other") }, 2, true },
                                          .thing_groups_to_remove = { (Str[]){ S("leaf") }, 1, true } };
    assert_int_equal(FIXTURE_CALL(f, "UpdateThingGroupsForThing", &in, (IotUpdateThingGroupsForThingOut *)NULL), OK);
    expect_groups_of(f, "lamp", "other side ");
    in.thing_groups_to_add.items[0] = S("none");
    in.thing_groups_to_remove.items[0] = S("other");
    expect_error(f, FIXTURE_CALL(f, "UpdateThingGroupsForThing", &in, (IotUpdateThingGroupsForThingOut *)NULL),
                 "ResourceNotFoundException", "none");
    expect_groups_of(f, "lamp", "other side "); /* nothing of it happened */
}

static void a_group_goes_without_children_and_takes_its_policies_along(void **state) {
    Fixture *f = *state;
    plant(f);
    create_thing(f, "lamp");
    assert_int_equal(add(f, "lamp", "leaf"), OK);
    expect_error(f, delete_group(f, "mid"), "InvalidRequestException",
                 "Cannot delete thing group : mid when there are still child groups attached to it.");
    Tenant tenant = { f->account, f->region };
    Str arn = S("arn:aws:iot:us-east-1:123456789012:thinggroup/leaf");
    Txn *txn = fixture_txn(f);
    for (int i = 0; i < 100; i++)
        assert_int_equal(
            policy_attachment_record_put(
                txn, tenant,
                &(PolicyAttachmentRecord){ .target = arn, .policy_name = str_format(&f->arena, "p%d", i) }),
            OK);
    fixture_commit(f, txn);
    assert_int_equal(delete_group(f, "leaf"), OK);
    assert_int_equal(delete_group(f, "leaf"), OK);
    assert_int_equal(delete_group(f, "mid"), OK);
    expect_groups_of(f, "lamp", "");
    RecordScan *scan;
    PolicyAttachmentRecord a;
    txn = fixture_txn(f);
    assert_int_equal(policy_attachment_record_scan(txn, tenant, STR_NONE, false, &scan), OK);
    assert_false(policy_attachment_record_next(scan, &f->arena, &a));
    assert_int_equal(record_scan_end(scan), OK);
    fixture_commit(f, txn);
}

static void a_deleted_thing_is_in_no_group(void **state) {
    Fixture *f = *state;
    plant(f);
    create_thing(f, "lamp");
    assert_int_equal(add(f, "lamp", "leaf"), OK);
    IotDeleteThingIn in = { .thing_name = S("lamp") };
    assert_int_equal(FIXTURE_CALL(f, "DeleteThing", &in, (IotDeleteThingOut *)NULL), OK);
    expect_things(f, "root", true, "");
    create_thing(f, "lamp");
    expect_groups_of(f, "lamp", "");
}

static Err billing(Fixture *f, const char *thing, const char *group) {
    IotAddThingToBillingGroupIn in = { .thing_name = str_c(thing), .billing_group_name = str_c(group) };
    return FIXTURE_CALL(f, "AddThingToBillingGroup", &in, (IotAddThingToBillingGroupOut *)NULL);
}

static void a_thing_is_in_one_billing_group(void **state) {
    Fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        IotCreateBillingGroupIn in = { .billing_group_name = i ? S("b2") : S("b1") };
        assert_int_equal(FIXTURE_CALL(f, "CreateBillingGroup", &in, (IotCreateBillingGroupOut *)NULL), OK);
    }
    create_thing(f, "lamp");
    assert_int_equal(billing(f, "lamp", "b1"), OK);
    assert_int_equal(billing(f, "lamp", "b1"), OK);
    expect_error(f, billing(f, "lamp", "b2"), "InvalidRequestException", "b1 already");
    expect_error(f, billing(f, "lamp", "b3"), "ResourceNotFoundException", "b3");
    IotListThingsInBillingGroupIn list_in = { .billing_group_name = S("b1") };
    IotListThingsInBillingGroupOut list_out;
    assert_int_equal(FIXTURE_CALL(f, "ListThingsInBillingGroup", &list_in, &list_out), OK);
    assert_true(list_out.things.n == 1 && str_eq(list_out.things.items[0], S("lamp")));
    IotDeleteBillingGroupIn delete_in = { .billing_group_name = S("b1") };
    assert_int_equal(FIXTURE_CALL(f, "DeleteBillingGroup", &delete_in, (IotDeleteBillingGroupOut *)NULL), OK);
    IotDescribeThingIn in = { .thing_name = S("lamp") };
    IotDescribeThingOut out;
    assert_int_equal(FIXTURE_CALL(f, "DescribeThing", &in, &out), OK);
    assert_null(out.billing_group_name.ptr);
    assert_int_equal(billing(f, "lamp", "b2"), OK);
}

#define iot_test(name) cmocka_unit_test_setup_teardown(name, open, fixture_case_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        iot_test(a_group_knows_its_way_from_the_root),
        iot_test(creating_again_succeeds_only_with_the_same_settings),
        iot_test(a_tree_is_seven_levels_deep_and_a_group_has_a_hundred_children),
        iot_test(an_update_merges_attributes_and_returns_the_version),
        iot_test(groups_are_listed_by_parent_prefix_and_depth),
        iot_test(a_thing_is_in_one_group_of_a_tree_and_in_ten_at_most),
        iot_test(members_are_named_by_arn_too),
        iot_test(things_of_a_tree_are_listed_in_pages_of_every_size),
        iot_test(a_thing_moves_within_its_tree_in_one_call),
        iot_test(a_group_goes_without_children_and_takes_its_policies_along),
        iot_test(a_deleted_thing_is_in_no_group),
        iot_test(a_thing_is_in_one_billing_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
