/* The book against role_may, which reads the store each time: whatever changes, both answer alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "generated/roles_records.h"
#include "identity/role_book.h"

#define ACCOUNT S("123456789012")
#define IOT S("iot.amazonaws.com")
#define ROLE S("arn:aws:iam::123456789012:role/r")
#define TRUST(service)                                                                                                 \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"" service           \
    "\"},\"Action\":\"sts:AssumeRole\"}]}"
#define MAY(effect, action, condition)                                                                                 \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"" effect "\",\"Action\":\"" action                       \
    "\",\"Resource\":\"*\"" condition "}]}"

typedef struct {
    Store *store;
    Arena arena;
    RoleBook *book;
    RoleSeat *seat;
} World;

static int begin(void **state) {
    World *w = mem_new(sizeof *w);
    Str why;
    StoreOptions o = { .engine = "memory" };
    assert_int_equal(store_open(&o, &w->arena, &w->store, &why), OK);
    w->book = role_book_new(w->store, IOT);
    w->seat = role_book_hold(w->book, ACCOUNT, ROLE);
    *state = w;
    return 0;
}

static int end(void **state) {
    World *w = *state;
    role_book_drop(w->book, w->seat);
    role_book_free(w->book);
    store_close(w->store);
    arena_free(&w->arena);
    free(w);
    return 0;
}

static Txn *change(World *w) {
    Txn *txn;
    assert_int_equal(txn_begin(w->store, &txn), OK);
    return txn;
}

static void changed(World *w, Txn *txn) {
    assert_int_equal(txn_commit(txn, false), OK);
    role_book_changed(w->book, ACCOUNT, S("r"));
}

static void put_role(World *w, const char *trust) {
    Txn *txn = change(w);
    const RoleRecord r = { .role_name = S("r"), .path = S("/"), .trust_policy = str_c(trust) };
    assert_int_equal(role_record_put(txn, role_tenant(ACCOUNT), &r), OK);
    changed(w, txn);
}

static void put_policy(World *w, const char *name, const char *document) {
    Txn *txn = change(w);
    const RolePolicyRecord r = { .role_name = S("r"), .policy_name = str_c(name), .document = str_c(document) };
    assert_int_equal(role_policy_record_put(txn, role_tenant(ACCOUNT), &r), OK);
    changed(w, txn);
}

/* And checks that role_may says the same. */
static Err ask(World *w, Str action, Str source) {
    Str why = STR_NONE, other = STR_NONE;
    const PolicyVar vars[] = { { S("aws:SourceArn"), &source, 1 } };
    Err e = role_seat_may(w->book, w->seat, action, S("arn:x"), vars, 1, &w->arena, &why);
    Txn *txn = change(w);
    const RoleQuestion q = { .account = ACCOUNT,
                             .role_arn = ROLE,
                             .service = IOT,
                             .action = action,
                             .resource = S("arn:x"),
                             .vars = vars,
                             .vars_n = 1 };
    Err twin = role_may(txn, &q, &w->arena, &other);
    txn_abort(txn);
    assert_int_equal(e, twin == ERR_NOT_FOUND ? OK : twin);
    assert_int_equal(role_seat_known(w->book, w->seat), twin != ERR_NOT_FOUND);
    if (e == ERR_DENIED) assert_true(why.len && str_eq(why, other));
    return e;
}

static void of_a_role_that_never_was_nothing_is_refused(void **state) {
    World *w = *state;
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), OK);
    assert_true(role_seat_tell(w->seat));
    assert_false(role_seat_tell(w->seat)); /* told once */
}

static void a_change_counts_at_once(void **state) {
    World *w = *state;
    put_role(w, TRUST("lambda.amazonaws.com"));
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), ERR_DENIED);
    put_policy(w, "p", MAY("Allow", "sqs:*", ""));
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), ERR_DENIED); /* not trusted */
    put_role(w, TRUST("iot.amazonaws.com"));
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), OK);
    assert_int_equal(ask(w, S("sns:Publish"), S("a")), ERR_DENIED);
    put_policy(w, "q", MAY("Deny", "*", ",\"Condition\":{\"StringLike\":{\"aws:SourceArn\":\"b*\"}}"));
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), OK);
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("bc")), ERR_DENIED);
}

static void a_role_that_was_deleted_lets_nothing_until_it_is_made_again(void **state) {
    World *w = *state;
    put_role(w, TRUST("iot.amazonaws.com"));
    Txn *txn = change(w);
    assert_int_equal(role_record_delete(txn, role_tenant(ACCOUNT), S("r")), OK);
    const DeletedRoleRecord gone = { .role_name = S("r"), .arn = ROLE, .deleted_ms = 1 };
    assert_int_equal(deleted_role_record_put(txn, role_tenant(ACCOUNT), &gone), OK);
    changed(w, txn);
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), ERR_DENIED);
    put_role(w, TRUST("iot.amazonaws.com"));
    put_policy(w, "p", MAY("Allow", "sqs:*", ""));
    assert_int_equal(ask(w, S("sqs:SendMessage"), S("a")), OK);
}

static void a_policy_that_is_none_lets_nothing(void **state) {
    World *w = *state;
    Str why = STR_NONE;
    put_role(w, TRUST("iot.amazonaws.com"));
    put_policy(w, "p", "{}");
    assert_int_equal(role_seat_may(w->book, w->seat, S("a:B"), S("*"), NULL, 0, &w->arena, &why), ERR_DENIED);
    assert_true(why.len > 0 && role_seat_known(w->book, w->seat));
}

static void holders_share_a_seat_and_other_accounts_have_their_own(void **state) {
    World *w = *state;
    RoleSeat *again = role_book_hold(w->book, ACCOUNT, ROLE), *other = role_book_hold(w->book, S("2"), ROLE);
    assert_ptr_equal(again, w->seat);
    assert_ptr_not_equal(other, w->seat);
    put_role(w, TRUST("iot.amazonaws.com"));
    assert_true(role_seat_known(w->book, again));
    assert_false(role_seat_known(w->book, other));
    role_book_drop(w->book, again);
    role_book_drop(w->book, other);
    assert_true(role_seat_known(w->book, w->seat));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_a_role_that_never_was_nothing_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_change_counts_at_once, begin, end),
        cmocka_unit_test_setup_teardown(a_role_that_was_deleted_lets_nothing_until_it_is_made_again, begin, end),
        cmocka_unit_test_setup_teardown(a_policy_that_is_none_lets_nothing, begin, end),
        cmocka_unit_test_setup_teardown(holders_share_a_seat_and_other_accounts_have_their_own, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
