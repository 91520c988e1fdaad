#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/resource_tag.h"
#include "generated/iot.h"
#include "generated/iot1click_devices.h"
#include "generated/iot_resources.h"
#include "services/testing/cases.h"

/* What is declared instead of written, shown with billing groups; and tags of whatever is declared. */

#define GROUP_ARN "arn:aws:iot:us-east-1:123456789012:billinggroup/"

static int open(void **state) {
    return fixture_case_open(state, &iot_service);
}

static Err create(Fixture *f, const char *name, const char *description, IotCreateBillingGroupOut *out) {
    IotBillingGroupProperties p = { .billing_group_description = str_c(description) };
    IotCreateBillingGroupIn in = { .billing_group_name = str_c(name),
                                   .billing_group_properties = description ? &p : NULL };
    return FIXTURE_CALL(f, "CreateBillingGroup", &in, out);
}

static Err describe(Fixture *f, const char *name, IotDescribeBillingGroupOut *out) {
    IotDescribeBillingGroupIn in = { .billing_group_name = str_c(name) };
    return FIXTURE_CALL(f, "DescribeBillingGroup", &in, out);
}

static Err update(Fixture *f, const char *name, const char *description, int64_t expected) {
    IotBillingGroupProperties p = { .billing_group_description = str_c(description) };
    IotUpdateBillingGroupIn in = { .billing_group_name = str_c(name),
                                   .billing_group_properties = &p,
                                   .expected_version = { expected != 0, expected } };
    IotUpdateBillingGroupOut out;
    Err e = FIXTURE_CALL(f, "UpdateBillingGroup", &in, &out);
    if (e == OK) assert_true(out.version.set);
    return e;
}

static Err delete (Fixture *f, const char *name, int64_t expected) {
    IotDeleteBillingGroupIn in = { .billing_group_name = str_c(name), .expected_version = { expected != 0, expected } };
    return FIXTURE_CALL(f, "DeleteBillingGroup", &in, (IotDeleteBillingGroupOut *)NULL);
}

static void what_is_created_is_described_with_its_times_and_version(void **state) {
    Fixture *f = *state;
    IotCreateBillingGroupOut made;
    IotDescribeBillingGroupOut out;
    assert_int_equal(create(f, "b", "ships", &made), OK);
    assert_true(str_eq(made.billing_group_arn, S(GROUP_ARN "b")));
    assert_int_equal(made.billing_group_id.len, 36);
    f->now_ms += 5000;
    assert_int_equal(describe(f, "b", &out), OK);
    assert_true(str_eq(out.billing_group_id, made.billing_group_id));
    assert_true(str_eq(out.billing_group_properties->billing_group_description, S("ships")));
    assert_int_equal(out.billing_group_metadata->creation_date.v, FIXTURE_NOW_MS);
    assert_int_equal(out.version.v, 1);
    f->account = S("210987654321");
    expect_error(f, describe(f, "b", &out), "ResourceNotFoundException", "Billing group b cannot be found.");
}

static void creating_again_succeeds_only_with_the_same_settings(void **state) {
    Fixture *f = *state;
    IotCreateBillingGroupOut first, again;
    assert_int_equal(create(f, "b", "ships", &first), OK);
    assert_int_equal(create(f, "b", "ships", &again), OK);
    assert_true(str_eq(first.billing_group_id, again.billing_group_id));
    expect_error(f, create(f, "b", NULL, &again), "ResourceAlreadyExistsException", "Billing group b already exists");
    assert_true(str_eq(f->resource_arn, S(GROUP_ARN "b")));
}

static void an_update_changes_what_it_names_when_the_version_is_as_expected(void **state) {
    Fixture *f = *state;
    IotDescribeBillingGroupOut out;
    expect_error(f, update(f, "b", "x", 0), "ResourceNotFoundException", "Billing group b");
    assert_int_equal(create(f, "b", "one", &(IotCreateBillingGroupOut){ 0 }), OK);
    expect_error(f, update(f, "b", "two", 7), "VersionConflictException",
                 "The expected version 7 of billing group b does not match its version 1");
    assert_int_equal(update(f, "b", "two", 1), OK);
    assert_int_equal(update(f, "b", NULL, 0), OK);
    assert_int_equal(describe(f, "b", &out), OK);
    assert_int_equal(out.version.v, 3);
    assert_true(str_eq(out.billing_group_properties->billing_group_description, S("two")));
}

static void a_delete_minds_the_version_and_succeeds_again(void **state) {
    Fixture *f = *state;
    IotDescribeBillingGroupOut out;
    assert_int_equal(create(f, "b", "one", &(IotCreateBillingGroupOut){ 0 }), OK);
    expect_error(f, delete (f, "b", 2), "VersionConflictException", "expected version 2");
    assert_int_equal(delete (f, "b", 1), OK);
    expect_error(f, describe(f, "b", &out), "ResourceNotFoundException", "Billing group b");
    assert_int_equal(delete (f, "b", 0), OK);
}

static IotListBillingGroupsOut list(Fixture *f, const char *prefix, int64_t size, Str token) {
    IotListBillingGroupsIn in = { .name_prefix_filter = str_c(prefix),
                                  .max_results = { size != 0, size },
                                  .next_token = token };
    IotListBillingGroupsOut out = { 0 };
    assert_int_equal(FIXTURE_CALL(f, "ListBillingGroups", &in, &out), OK);
    return out;
}

static void pages_go_on_behind_the_last_whatever_comes_between(void **state) {
    Fixture *f = *state;
    static const char *const names[] = { "a1", "a3", "a5", "b1" };
    for (size_t i = 0; i < 4; i++) assert_int_equal(create(f, names[i], NULL, &(IotCreateBillingGroupOut){ 0 }), OK);
    IotListBillingGroupsOut page = list(f, "a", 2, STR_NONE);
    assert_int_equal(page.billing_groups.n, 2);
    assert_true(str_eq(page.billing_groups.items[1].group_name, S("a3")));
    assert_true(str_eq(page.billing_groups.items[1].group_arn, S(GROUP_ARN "a3")));
    assert_int_equal(create(f, "a2", NULL, &(IotCreateBillingGroupOut){ 0 }), OK);
    assert_int_equal(create(f, "a4", NULL, &(IotCreateBillingGroupOut){ 0 }), OK);
    assert_int_equal(delete (f, "a3", 0), OK);
    page = list(f, "a", 2, page.next_token);
    assert_int_equal(page.billing_groups.n, 2);
    assert_true(str_eq(page.billing_groups.items[0].group_name, S("a4")));
    assert_true(str_eq(page.billing_groups.items[1].group_name, S("a5")));
    assert_null(page.next_token.ptr);
    IotListBillingGroupsIn foreign = { .next_token = list(f, "a", 1, STR_NONE).next_token };
    expect_error(f, FIXTURE_CALL(f, "ListBillingGroups", &foreign, (IotListBillingGroupsOut *)NULL),
                 "InvalidRequestException", "Invalid next token");
}

static Err create_alias(Fixture *f, size_t i) {
    IotCreateRoleAliasIn in = { .role_alias = str_format(&f->arena, "alias-%03zu", i),
                                .role_arn = str_format(&f->arena, "arn:aws:iam::%.*s:role/any", PS(f->account)) };
    return FIXTURE_CALL(f, "CreateRoleAlias", &in, (IotCreateRoleAliasOut *)NULL);
}

/* The names of all pages, one behind the other. */
static Str aliases(Fixture *f, bool ascending) {
    IotListRoleAliasesIn in = { .page_size = { true, 2 }, .ascending_order = { true, ascending } };
    Str all = S("");
    do {
        IotListRoleAliasesOut out = { 0 };
        assert_int_equal(FIXTURE_CALL(f, "ListRoleAliases", &in, &out), OK);
        assert_true(out.role_aliases.n <= 2);
        for (size_t i = 0; i < out.role_aliases.n; i++)
            all = str_format(&f->arena, "%.*s%.*s ", PS(all), PS(out.role_aliases.items[i]));
        in.marker = out.next_marker;
    } while (in.marker.ptr);
    return all;
}

static void a_list_is_walked_either_way(void **state) {
    Fixture *f = *state;
    for (size_t i = 0; i < 5; i++) assert_int_equal(create_alias(f, i), OK);
    assert_true(str_eq(aliases(f, true), S("alias-000 alias-001 alias-002 alias-003 alias-004 ")));
    assert_true(str_eq(aliases(f, false), S("alias-004 alias-003 alias-002 alias-001 alias-000 ")));
}

static void no_more_are_created_than_the_limit(void **state) {
    Fixture *f = *state;
    for (size_t i = 0; i < 100; i++) assert_int_equal(create_alias(f, i), OK);
    expect_error(f, create_alias(f, 100), "LimitExceededException", "alias-100");
    expect_error(f, create_alias(f, 7), "ResourceAlreadyExistsException", "alias-007");
    IotDeleteRoleAliasIn in = { .role_alias = S("alias-050") };
    assert_int_equal(FIXTURE_CALL(f, "DeleteRoleAlias", &in, (IotDeleteRoleAliasOut *)NULL), OK);
    assert_int_equal(create_alias(f, 100), OK);
    f->account = S("210987654321"); /* has a limit of its own */
    assert_int_equal(create_alias(f, 0), OK);
}

/* Two transactions that each see no record, or one too few: the second to commit has to run again. */
static void what_is_created_twice_at_once_is_created_once(void **state) {
    Fixture *f = *state;
    static const IotCreateRoleAliasIn in = { .role_alias = STR_INIT("a"),
                                             .role_arn = STR_INIT("arn:aws:iam::123456789012:role/any") };
    Call calls[2];
    for (size_t i = 0; i < 2; i++) {
        IotCreateRoleAliasOut out;
        calls[i] = (Call){ .op = api_op(&iot_service, S("CreateRoleAlias")),
                           .env = &f->env,
                           .account = f->account,
                           .region = f->region,
                           .arena = &f->arena,
                           .rng = &f->rng,
                           .txn = fixture_txn(f) };
        assert_int_equal(iot_create_role_alias(&calls[i], &in, &out), OK);
    }
    assert_int_equal(txn_commit(calls[0].txn, false), OK);
    assert_int_equal(txn_commit(calls[1].txn, false), ERR_CONFLICT);
}

/* ------------------------------------------------------------------------------------------------ tags */

static Err tag(Fixture *f, const char *arn, const char *key, const char *value) {
    IotTag t = { .key = str_c(key), .value = str_c(value) };
    IotTagResourceIn in = { .resource_arn = str_c(arn), .tags = { &t, 1, true } };
    return FIXTURE_CALL(f, "TagResource", &in, (IotTagResourceOut *)NULL);
}

static Err untag(Fixture *f, const char *arn, const char *key) {
    Str k = str_c(key);
    IotUntagResourceIn in = { .resource_arn = str_c(arn), .tag_keys = { &k, 1, true } };
    return FIXTURE_CALL(f, "UntagResource", &in, (IotUntagResourceOut *)NULL);
}

static Str tags(Fixture *f, const char *arn) {
    IotListTagsForResourceIn in = { .resource_arn = str_c(arn) };
    IotListTagsForResourceOut out = { 0 };
    assert_int_equal(FIXTURE_CALL(f, "ListTagsForResource", &in, &out), OK);
    Str text = S("");
    for (size_t i = 0; i < out.tags.n; i++)
        text =
            str_format(&f->arena, "%.*s%.*s=%.*s;", PS(text), PS(out.tags.items[i].key), PS(out.tags.items[i].value));
    return text;
}

static void tags_come_change_and_go(void **state) {
    Fixture *f = *state;
    IotTag given[] = { { S("site"), S("pier") }, { S("empty"), STR_NONE } };
    IotCreateBillingGroupIn in = { .billing_group_name = S("b"), .tags = { given, 2, true } };
    assert_int_equal(FIXTURE_CALL(f, "CreateBillingGroup", &in, (IotCreateBillingGroupOut *)NULL), OK);
    assert_true(str_eq(tags(f, GROUP_ARN "b"), S("site=pier;empty=;")));
    assert_int_equal(tag(f, GROUP_ARN "b", "site", "yard"), OK);
    assert_int_equal(tag(f, GROUP_ARN "b", "Site", "other"), OK);
    assert_int_equal(untag(f, GROUP_ARN "b", "empty"), OK);
    assert_int_equal(untag(f, GROUP_ARN "b", "never there"), OK);
    assert_true(str_eq(tags(f, GROUP_ARN "b"), S("site=yard;Site=other;")));
    assert_int_equal(delete (f, "b", 0), OK);
    expect_error(f, tag(f, GROUP_ARN "b", "k", "v"), "ResourceNotFoundException", GROUP_ARN "b");
}

static void what_is_no_tag_or_no_taggable_resource_is_refused(void **state) {
    Fixture *f = *state;
    assert_int_equal(create(f, "b", NULL, &(IotCreateBillingGroupOut){ 0 }), OK);
    expect_error(f, tag(f, GROUP_ARN "b", "aws:x", "v"), "InvalidRequestException", "reserved");
    expect_error(f, tag(f, GROUP_ARN "b", "", "v"), "InvalidRequestException", "key");
    expect_error(f, tag(f, "arn:aws:iot:us-east-1:123456789012:thing/t", "k", "v"), "InvalidRequestException",
                 "thing/t is of no resource");
    expect_error(f, tag(f, "arn:aws:iot:us-east-1:210987654321:billinggroup/b", "k", "v"), "InvalidRequestException",
                 "in this account");
    IotTag many[51];
    for (size_t i = 0; i < 51; i++) many[i] = (IotTag){ str_format(&f->arena, "k%zu", i), S("v") };
    IotTagResourceIn in = { .resource_arn = S(GROUP_ARN "b"), .tags = { many, 50, true } };
    assert_int_equal(FIXTURE_CALL(f, "TagResource", &in, (IotTagResourceOut *)NULL), OK);
    assert_int_equal(FIXTURE_CALL(f, "TagResource", &in, (IotTagResourceOut *)NULL), OK);
    expect_error(f, tag(f, GROUP_ARN "b", "k50", "v"), "LimitExceededException", "51 tags");
    in.tags = (IotTagList){ (IotTag[]){ { S("k"), S("1") }, { S("k"), S("2") } }, 2, true };
    expect_error(f, FIXTURE_CALL(f, "TagResource", &in, (IotTagResourceOut *)NULL), "InvalidRequestException", "twice");
}

/* Another service's, whose members are called otherwise and whose tags are a map. */
static void any_service_tags_its_resources_by_declaration(void **state) {
    Fixture *f = *state;
    Resource button = iot_billing_group_resource;
    const Resource *all[] = { &iot_thing_type_resource, &button };
    button.service = &iot1click_devices_service;
    button.arn = S("buttons/{billing_group_name}");
    assert_int_equal(create(f, "b", NULL, &(IotCreateBillingGroupOut){ 0 }), OK);
    Call c = { .op = api_op(button.service, S("TagResource")),
               .account = f->account,
               .region = f->region,
               .arena = &f->arena,
               .txn = fixture_txn(f) };
    Str arn = S("arn:aws:iot1click:us-east-1:123456789012:buttons/b");
    StrPair pair = { S("site"), S("pier") };
    Iot1clickDevicesTagResourceIn tag_in = { .resource_arn = arn, .tags = { &pair, 1, true } };
    assert_int_equal(resource_tag(&c, all, 2, button.service, S("TagResource"), &tag_in, NULL), OK);
    Iot1clickDevicesListTagsForResourceIn list_in = { .resource_arn = arn };
    Iot1clickDevicesListTagsForResourceOut out = { 0 };
    assert_int_equal(resource_tags_of(&c, all, 2, button.service, S("ListTagsForResource"), &list_in, &out), OK);
    assert_int_equal(out.tags.n, 1);
    assert_true(str_eq(out.tags.items[0].key, S("site")) && str_eq(out.tags.items[0].value, S("pier")));
    Iot1clickDevicesUntagResourceIn untag_in = { .resource_arn = arn, .tag_keys = { &pair.key, 1, true } };
    assert_int_equal(resource_untag(&c, all, 2, button.service, S("UntagResource"), &untag_in, NULL), OK);
    assert_int_equal(resource_tags_of(&c, all, 2, button.service, S("ListTagsForResource"), &list_in, &out), OK);
    assert_int_equal(out.tags.n, 0);
    tag_in.resource_arn = S(GROUP_ARN "b"); /* iot's own: not this service's */
    assert_int_equal(resource_tag(&c, all, 2, button.service, S("TagResource"), &tag_in, NULL), ERR_API);
    txn_abort(c.txn);
}

#define RESOURCE_TEST(name) cmocka_unit_test_setup_teardown(name, open, fixture_case_close)

int main(void) {
    const struct CMUnitTest tests_of[] = {
        RESOURCE_TEST(what_is_created_is_described_with_its_times_and_version),
        RESOURCE_TEST(creating_again_succeeds_only_with_the_same_settings),
        RESOURCE_TEST(an_update_changes_what_it_names_when_the_version_is_as_expected),
        RESOURCE_TEST(a_delete_minds_the_version_and_succeeds_again),
        RESOURCE_TEST(pages_go_on_behind_the_last_whatever_comes_between),
        RESOURCE_TEST(a_list_is_walked_either_way),
        RESOURCE_TEST(no_more_are_created_than_the_limit),
        RESOURCE_TEST(what_is_created_twice_at_once_is_created_once),
        RESOURCE_TEST(tags_come_change_and_go),
        RESOURCE_TEST(any_service_tags_its_resources_by_declaration),
        RESOURCE_TEST(what_is_no_tag_or_no_taggable_resource_is_refused),
    };
    return cmocka_run_group_tests(tests_of, NULL, NULL);
}
