/* Packages, names, and the runner with functions that are shell scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "base/writer.h"
#include "services/lambda/code.h"
#include "services/lambda/shared.h"

typedef struct {
    const char *name, *content;
    mode_t mode; /* with its kind; 0: none is told */
} File;

static Str make_zip(const File *files, size_t n, Arena *a) {
    char path[] = "/tmp/starling-zip-XXXXXX";
    close(mkstemp(path));
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(z);
    for (size_t i = 0; i < n; i++) {
        zip_source_t *s = zip_source_buffer(z, files[i].content, strlen(files[i].content), 0);
        zip_int64_t at = zip_file_add(z, files[i].name, s, ZIP_FL_ENC_UTF_8);
        assert_true(at >= 0);
        if (files[i].mode)
            zip_file_set_external_attributes(z, (zip_uint64_t)at, 0, ZIP_OPSYS_UNIX, (zip_uint32_t)files[i].mode << 16);
    }
    assert_int_equal(zip_close(z), 0);
    FILE *f = fopen(path, "rb");
    Writer w = writer_in(a);
    uint8_t piece[4096];
    size_t got;
    while ((got = fread(piece, 1, sizeof piece, f))) writer_bytes(&w, (Str){ piece, got });
    fclose(f);
    unlink(path);
    return writer_str(&w);
}

static void a_package_is_unpacked_with_its_modes(void **state) {
    (void)state;
    Arena a = { 0 };
    char dir[] = "/tmp/starling-code-XXXXXX";
    const File files[] = { { "bootstrap", "#!/bin/sh\n", S_IFREG | 0755 }, { "lib/deep/x.py", "x = 1\n", 0 } };
    Str zip = make_zip(files, 2, &a), why = S("");
    struct stat st;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(lambda_code_check(zip, &a, &why), OK);
    char *to = str_dup_c(&a, str_format(&a, "%s/code", dir));
    assert_int_equal(lambda_code_unpack(zip, to, &a, &why), OK);
    assert_int_equal(stat(str_dup_c(&a, str_format(&a, "%s/bootstrap", to)), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    assert_int_equal(stat(str_dup_c(&a, str_format(&a, "%s/lib/deep/x.py", to)), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(st.st_size, 6);
    assert_int_equal(lambda_code_unpack(zip, to, &a, &why), OK); /* is there */
    lambda_code_delete(dir);
    assert_int_not_equal(stat(dir, &st), 0);
    arena_free(&a);
}

static void a_package_that_would_leave_its_folder_is_refused(void **state) {
    static const File BAD[] = { { "../x", "x", 0 },
                                { "/x", "x", 0 },
                                { "a/../../x", "x", 0 },
                                { "a//x", "x", 0 },
                                { "./x", "x", 0 },
                                { "a\\x", "x", 0 },
                                { "x", "/etc/passwd", S_IFLNK | 0777 },
                                { "x", "", S_IFCHR | 0666 } };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Arena a = { 0 };
        Str why = S("");
        if (lambda_code_check(make_zip(&BAD[i], 1, &a), &a, &why) != ERR_INVALID) fail_msg("%s is taken", BAD[i].name);
        assert_true(why.len > 0);
        arena_free(&a);
    }
    Arena a = { 0 };
    Str why = S(""), zip = make_zip(&(File){ "x", "some text", 0 }, 1, &a);
    for (size_t n = 0; n < zip.len; n++) assert_int_not_equal(lambda_code_check(str_sub(zip, 0, n), &a, &why), OK);
    arena_free(&a);
}

static void a_function_is_named_in_every_way(void **state) {
    static const struct {
        const char *text, *qualifier, *account, *name, *got;
        Err e;
    } CASES[] = {
        { "f", "", "1", "f", "", OK },
        { "f:2", "", "1", "f", "2", OK },
        { "f", "2", "1", "f", "2", OK },
        { "f:2", "2", "1", "f", "2", OK },
        { "f:2", "3", "", "", "", ERR_INVALID },
        { "function:f", "", "1", "f", "", OK },
        { "9:function:f:x", "", "9", "f", "x", OK },
        { "arn:aws:lambda:r:9:function:f", "", "9", "f", "", OK },
        { "arn:aws:lambda:r:9:function:f:$LATEST", "", "9", "f", "$LATEST", OK },
        { "arn:aws:iot:r:9:function:f", "", "", "", "", ERR_MALFORMED },
        { "arn:aws:lambda:r:9:layer:f", "", "", "", "", ERR_MALFORMED },
        { "", "", "", "", "", ERR_MALFORMED },
        { "a:b:c", "", "", "", "", ERR_MALFORMED },
        { "arn:aws:lambda:r:9:function:f:1:2", "", "", "", "", ERR_MALFORMED },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        LambdaName n = { 0 };
        Err e = lambda_name_parse(str_c(CASES[i].text), str_c(CASES[i].qualifier), S("1"), S("r"), &n);
        if (e != CASES[i].e) fail_msg("%s: %s", CASES[i].text, err_name(e));
        if (e != OK) continue;
        assert_true(str_eq(n.account, str_c(CASES[i].account)) && str_eq(n.name, str_c(CASES[i].name)));
        assert_true(str_eq(n.qualifier, str_c(CASES[i].got)));
    }
}

/* ------------------------------------------------------------------------------------------------ the runner */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t told;
    int answered;
    char dir[64];
    Runner *runner;
} Bed;

static void on_line(void *ctx, RunnerLine kind, const RunnerFunction *f, Str id, Str text) {
    (void)ctx, (void)kind, (void)f, (void)id, (void)text;
}

static void told(RunnerCall *call) {
    Bed *b = call->ctx;
    pthread_mutex_lock(&b->lock);
    b->answered++;
    pthread_cond_signal(&b->told);
    pthread_mutex_unlock(&b->lock);
}

static void bed_open(Bed *b) {
    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->told, NULL);
    strcpy(b->dir, "/tmp/starling-run-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    chmod(b->dir, 0755);
    b->runner = runner_start(
        &(RunnerOptions){ .dir = b->dir, .python = "python3", .instances_max = 3, .idle_s = 60, .line = on_line });
}

static void bed_close(Bed *b) {
    runner_stop(b->runner);
    runner_free(b->runner);
    lambda_code_delete(b->dir);
}

static RunnerCall *submit_of(Bed *b, const char *account, const char *script, const char *name, int64_t patience_ms) {
    RunnerCall *c = runner_call_new();
    Str folder = str_format(&c->arena, "%s/%s", b->dir, name);
    char *path = str_dup_c(&c->arena, str_format(&c->arena, "%.*s/bootstrap", PS(folder)));
    if (mkdir(str_dup_c(&c->arena, folder), 0755) == 0) {
        FILE *f = fopen(path, "w");
        fputs(script, f);
        fclose(f);
        chmod(path, 0755);
    }
    c->function = (RunnerFunction){ .id = str_c(name),
                                    .revision = S("1"),
                                    .account = str_c(account),
                                    .region = S("r"),
                                    .name = str_c(name),
                                    .version = S("$LATEST"),
                                    .runtime = S("provided.al2023"),
                                    .handler = S("h"),
                                    .code_dir = folder,
                                    .timeout_s = 1,
                                    .memory_mb = 2048,
                                    .tmp_mb = 512,
                                    .reserved = -1 };
    c->request_id = S("id-1");
    c->invoked_arn = S("arn");
    c->payload = S("{}");
    c->patience_ms = patience_ms;
    c->done = told;
    c->ctx = b;
    runner_submit(b->runner, c);
    return c;
}

static RunnerCall *submit(Bed *b, const char *script, const char *name, int64_t patience_ms) {
    return submit_of(b, "1", script, name, patience_ms);
}

static void wait_for(Bed *b, int n) {
    pthread_mutex_lock(&b->lock);
    while (b->answered < n) pthread_cond_wait(&b->told, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void whatever_becomes_of_a_process_its_call_is_answered_once(void **state) {
    (void)state;
    Bed b;
    bed_open(&b);
    RunnerCall *calls[] = {
        submit(&b, "#!/bin/sh\nexit 3\n", "exits", 0),
        submit(&b, "#!/bin/sh\nexit 0\n", "ends", 0),
        submit(&b, "#!/no/such/shell\n", "nothing", 0),
        submit(&b, "#!/bin/sh\nexec sleep 600\n", "silent", 300),
    };
    wait_for(&b, 4);
    assert_true(calls[0]->result == OK && str_find_str(calls[0]->answer, S("exit status 3")) != SIZE_MAX);
    assert_true(calls[1]->result == OK && str_find_str(calls[1]->answer, S("without providing a reason")) != SIZE_MAX);
    assert_int_equal(calls[2]->result, ERR_IO);
    assert_int_equal(calls[3]->result, ERR_AGAIN);
    for (size_t i = 0; i < 4; i++) runner_call_free(calls[i]);
    bed_close(&b);
}

static void what_is_under_way_when_the_runner_ends_is_told_so(void **state) {
    (void)state;
    Bed b;
    bed_open(&b);
    RunnerCall *calls[5];
    for (int i = 0; i < 5; i++) calls[i] = submit(&b, "#!/bin/sh\nexec sleep 600\n", i < 4 ? "sleeps" : "other", 0);
    runner_stop(b.runner);
    assert_int_equal(b.answered, 5);
    RunnerCall *late = submit(&b, "", "late", 0);
    assert_int_equal(late->result, ERR_CLOSED);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(calls[i]->result, ERR_CLOSED);
        runner_call_free(calls[i]);
    }
    runner_call_free(late);
    runner_free(b.runner);
    lambda_code_delete(b.dir);
}

static void what_starts_too_many_processes_is_ended(void **state) {
    (void)state;
    Bed b;
    bed_open(&b);
    RunnerCall *call =
        submit(&b, "#!/bin/sh\ni=0\nwhile [ $i -lt 1100 ]; do sleep 600 & i=$((i+1)); done\nwait\n", "forks", 0);
    wait_for(&b, 1);
    if (str_find_str(call->answer, S("more than 1024 processes")) == SIZE_MAX) fail_msg("%.*s", PS(call->answer));
    runner_call_free(call);
    bed_close(&b);
}

static void an_account_with_many_calls_leaves_room_for_anothers(void **state) {
    (void)state;
    Bed b;
    bed_open(&b);
    RunnerCall *calls[5];
    for (int i = 0; i < 5; i++) {
        calls[i] = submit_of(&b, i < 4 ? "1" : "2",
                             "#!/bin/sh\n[ $AWS_LAMBDA_FUNCTION_NAME = quick ] && exit 3\nexec sleep 600\n",
                             i < 2   ? "sleeps"
                             : i < 4 ? "other"
                                     : "quick",
                             0);
    }
    wait_for(&b, 1);
    assert_true(calls[4]->result == OK && str_find_str(calls[4]->answer, S("exit status 3")) != SIZE_MAX);
    runner_stop(b.runner);
    for (int i = 0; i < 5; i++) runner_call_free(calls[i]);
    runner_free(b.runner);
    lambda_code_delete(b.dir);
}

/* An exit status of 5: it is the first process of a namespace of its own. */
static const char WHERE[] = "#!/bin/sh\n[ $$ = 1 ] && exit 5\nexit 6\n";

static void a_start_that_fails_takes_nobodys_namespaces_away(void **state) {
    (void)state;
    Bed b;
    bed_open(&b);
    char root[96];
    snprintf(root, sizeof root, "%s/root", b.dir);
    RunnerCall *before = submit(&b, WHERE, "before", 0);
    wait_for(&b, 1);
    bool contained = str_find_str(before->answer, S("exit status 5")) != SIZE_MAX;
    if (contained) {
        assert_int_equal(rmdir(root), 0);
        RunnerCall *during = submit(&b, WHERE, "during", 0);
        wait_for(&b, 2);
        assert_int_equal(during->result, ERR_IO);
        assert_int_equal(mkdir(root, 0711), 0);
        RunnerCall *after = submit(&b, WHERE, "after", 0);
        wait_for(&b, 3);
        assert_true(str_find_str(after->answer, S("exit status 5")) != SIZE_MAX);
        runner_call_free(during);
        runner_call_free(after);
    }
    runner_call_free(before);
    bed_close(&b);
    if (!contained) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_package_is_unpacked_with_its_modes),
        cmocka_unit_test(a_package_that_would_leave_its_folder_is_refused),
        cmocka_unit_test(a_function_is_named_in_every_way),
        cmocka_unit_test(whatever_becomes_of_a_process_its_call_is_answered_once),
        cmocka_unit_test(what_is_under_way_when_the_runner_ends_is_told_so),
        cmocka_unit_test(what_starts_too_many_processes_is_ended),
        cmocka_unit_test(an_account_with_many_calls_leaves_room_for_anothers),
        cmocka_unit_test(a_start_that_fails_takes_nobodys_namespaces_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
