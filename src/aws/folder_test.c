/* Objects as files: nothing leaves the folder, nothing is half there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/folder.h"

static Str temporary(Arena *a) {
    char *dir = str_dup_c(a, S("/tmp/starling-folder-XXXXXX"));
    assert_non_null(mkdtemp(dir));
    return str_format(a, "%s/s3", dir);
}

static void discard(Str dir) {
    char command[256];
    snprintf(command, sizeof command, "rm -r \"$(dirname '%.*s')\"", PS(dir));
    assert_int_equal(system(command), 0);
}

static void what_is_put_is_got(void **state) {
    (void)state;
    static const char *const KEYS[] = { "a",    "b/c", "b/c/d", "b",      "../../etc/passwd",      "/x", "x//y",
                                        "./..", "50%", "%2E",   "tab\tx", "\xc3\xa4/\xe2\x82\xac", "b/" };
    enum { N = sizeof KEYS / sizeof *KEYS };
    Arena a = { 0 };
    Str dir = temporary(&a), why = STR_NONE, got;
    Folder *f = folder_new(dir, S("1"));
    for (size_t i = 0; i < N; i++)
        if (folder_put_wait(f, S("1"), S("bucket"), str_c(KEYS[i]), str_c(KEYS[i]), &a, &why) != OK)
            fail_msg("%s: %.*s", KEYS[i], PS(why));
    assert_int_equal(folder_put_wait(f, S("1"), S("bucket"), S("a"), S("new"), &a, &why), OK);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(folder_get_wait(f, S("1"), S("bucket"), str_c(KEYS[i]), &a, &got, &why), OK);
        if (!str_eq(got, i ? str_c(KEYS[i]) : S("new"))) fail_msg("%s holds %.*s", KEYS[i], PS(got));
    }
    assert_int_equal(folder_get_wait(f, S("1"), S("bucket"), S("nothing"), &a, &got, &why), ERR_NOT_FOUND);
    assert_int_equal(folder_get_wait(f, S("1"), S("bucket"), S("b/c/d/e"), &a, &got, &why), ERR_NOT_FOUND);
    /* another account's are its own */
    assert_int_equal(folder_get_wait(f, S("2"), S("bucket"), S("a"), &a, &got, &why), ERR_NOT_FOUND);
    assert_int_equal(folder_put_wait(f, S("2"), S("bucket"), S("a"), S("second"), &a, &why), OK);
    assert_int_equal(folder_get_wait(f, S("2"), S("bucket"), S("a"), &a, &got, &why), OK);
    assert_true(str_eq(got, S("second")));
    folder_free(f);
    discard(dir);
    arena_free(&a);
}

static void no_name_leads_out_of_the_folder(void **state) {
    (void)state;
    static const char *const BUCKETS[] = { "", "..", "a", "../x", "a/b", "UPPER", ".abc", "a b", "-ab" };
    Arena a = { 0 };
    Str path, why = STR_NONE;
    for (size_t i = 0; i < sizeof BUCKETS / sizeof *BUCKETS; i++)
        assert_int_equal(folder_path(str_c(BUCKETS[i]), S("k"), &a, &path, &why), ERR_INVALID);
    char key[FOLDER_KEY_BYTES_MAX + 2];
    memset(key, 'k', sizeof key);
    assert_int_equal(folder_path(S("abc"), (Str){ (uint8_t *)key, sizeof key - 1 }, &a, &path, &why), ERR_INVALID);
    assert_int_equal(folder_path(S("abc"), (Str){ (uint8_t *)key, 251 }, &a, &path, &why), ERR_INVALID);
    assert_int_equal(folder_path(S("abc"), (Str){ (uint8_t *)key, 250 }, &a, &path, &why), OK);
    assert_int_equal(folder_path(S("abc"), S(""), &a, &path, &why), ERR_INVALID);
    assert_int_equal(folder_path(S("abc"), S("\xff"), &a, &path, &why), ERR_INVALID);
    assert_int_equal(folder_path(S("abc"), S("../..//a"), &a, &path, &why), OK);
    assert_true(str_eq(path, S("abc/%2E%2E/%2E%2E/%00/a")));
    arena_free(&a);
}

static void count(void *ctx, Err e, Str why) {
    (void)why;
    if (e == OK) ++*(int *)ctx;
}

static void what_waits_is_written_before_the_end(void **state) {
    (void)state;
    enum { N = 50 };
    Arena a = { 0 };
    Str dir = temporary(&a), got, why;
    Folder *f = folder_new(dir, S("1"));
    int done = 0;
    for (int i = 0; i < N; i++)
        folder_put(f, S("1"), S("bucket"), str_format(&a, "%d", i), str_format(&a, "v%d", i), count, &done);
    folder_free(f);
    assert_int_equal(done, N);
    f = folder_new(dir, S("1"));
    for (int i = 0; i < N; i++) {
        assert_int_equal(folder_get_wait(f, S("1"), S("bucket"), str_format(&a, "%d", i), &a, &got, &why), OK);
        assert_true(str_eq(got, str_format(&a, "v%d", i)));
    }
    folder_free(f);
    discard(dir);
    arena_free(&a);
}

static void a_disk_that_refuses_is_told(void **state) {
    (void)state;
    Arena a = { 0 };
    Str why = STR_NONE;
    Folder *f = folder_new(S("/proc/no/such/place"), S("1"));
    assert_int_equal(folder_put_wait(f, S("1"), S("bucket"), S("k"), S("v"), &a, &why), ERR_IO);
    assert_true(str_find_str(why, S("/proc/no")) != SIZE_MAX);
    folder_free(f);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got),
        cmocka_unit_test(no_name_leads_out_of_the_folder),
        cmocka_unit_test(what_waits_is_written_before_the_end),
        cmocka_unit_test(a_disk_that_refuses_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
