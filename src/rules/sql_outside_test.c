#include "rules/testing/trial.h"

/* Functions that ask others, and templates. */

typedef struct {
    SqlOutsideCall last;
    int calls;
    const char *answer; /* NULL: it fails */
} Fake;

static Err answer(void *ctx, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    Fake *f = ctx;
    f->last = *call;
    f->calls++;
    (void)arena;
    if (!f->answer) {
        *why = S("the table is gone");
        return ERR_IO;
    }
    *out = str_c(f->answer);
    return OK;
}

static void check_args(const Fake *f, SqlOutsideKind kind, const char *const *wanted) {
    assert_int_equal(f->last.kind, kind);
    for (size_t i = 0; i < SQL_OUTSIDE_ARGS_MAX; i++) {
        Str want = wanted[i] ? str_c(wanted[i]) : STR_NONE;
        if (!str_eq(f->last.args[i], want) || !f->last.args[i].ptr != !wanted[i])
            fail_msg("argument %zu is %.*s", i, PS(f->last.args[i]));
    }
}

static void each_function_asks_in_its_form(void **state) {
    (void)state;
    static const struct {
        const char *statement, *answer, *wanted;
        SqlOutsideKind kind;
        const char *args[SQL_OUTSIDE_ARGS_MAX];
    } rows[] = {
        { "SELECT * from 'a' WHERE get_thing_shadow(\"MyThing\",\"MyThingShadow\",\"arn:r\").state.reported.alarm = "
          "'ON'",
          "{\"state\":{\"reported\":{\"alarm\":\"ON\"}}}",
          "{\"id\":7,\"x\":1.50}",
          SQL_GET_THING_SHADOW,
          { "MyThing", "MyThingShadow", "arn:r" } },
        { "SELECT get_thing_shadow('MyThing','arn:r').state AS s FROM 'a'",
          "{\"state\":{\"n\":1.0}}",
          "{\"s\":{\"n\":1}}",
          SQL_GET_THING_SHADOW,
          { "MyThing", NULL, "arn:r" } },
        { "SELECT aws_lambda(\"arn:f\", {\"payload\":id}) as output FROM 'a'",
          "{\"some\":{\"value\":3}}",
          "{\"output\":{\"some\":{\"value\":3}}}",
          SQL_AWS_LAMBDA,
          { "arn:f", "{\"payload\":7}" } },
        { "SELECT aws_lambda(\"arn:f\", *).some.value as output FROM 'a'",
          "{\"some\":{\"value\":3}}",
          "{\"output\":3}",
          SQL_AWS_LAMBDA,
          { "arn:f", "{\"id\": 7, \"x\": 1.50}" } },
        { "SELECT *, get_dynamodb(\"InServiceDevices\", \"deviceId\", id, \"arn:r\").location AS location FROM 'a'",
          "{\"location\":\"here\"}",
          "{\"id\":7,\"x\":1.50,\"location\":\"here\"}",
          SQL_GET_DYNAMODB,
          { "InServiceDevices", "deviceId", "7", NULL, NULL, "arn:r" } },
        { "SELECT get_dynamodb('t', 'p', 'v', 's', 2, 'arn:r') AS i FROM 'a'",
          "{}",
          "{\"i\":{}}",
          SQL_GET_DYNAMODB,
          { "t", "p", "v", "s", "2", "arn:r" } },
        { "SELECT get_secret('id', 'SecretString', 'key', 'arn:r') AS s FROM 'a'",
          "{\"key\":\"v\"}",
          "{\"s\":\"v\"}",
          SQL_GET_SECRET,
          { "id", "SecretString", "arn:r" } },
        { "SELECT get_secret('id', 'SecretString', 'arn:r') AS s FROM 'a'",
          "{\"key\":\"v\"}",
          "{\"s\":{\"key\":\"v\"}}",
          SQL_GET_SECRET,
          { "id", "SecretString", "arn:r" } },
        { "SELECT get_secret('id', 'SecretString', 'arn:r') AS s FROM 'a'",
          "plain",
          "{\"s\":\"plain\"}",
          SQL_GET_SECRET,
          { "id", "SecretString", "arn:r" } },
        { "SELECT get_secret('id', 'SecretBinary', 'arn:r') AS s FROM 'a'",
          "\xff",
          "{\"s\":\"/w==\"}",
          SQL_GET_SECRET,
          { "id", "SecretBinary", "arn:r" } },
        { "SELECT get_registry_data('DescribeThing', 't', 'arn:r').thingTypeName AS n FROM 'a'",
          "{\"thingTypeName\":\"lamp\"}",
          "{\"n\":\"lamp\"}",
          SQL_GET_REGISTRY_DATA,
          { "DescribeThing", "t", "arn:r" } },
        { "SELECT machinelearning_predict('m', 'arn:r', {'key1': {'innerKey1': 'value1'}, 'key2': 0}).predictedLabel "
          "AS p "
          "FROM 'a'",
          "{\"predictedLabel\":\"1\"}",
          "{\"p\":\"1\"}",
          SQL_MACHINELEARNING_PREDICT,
          { "m", "arn:r", "{\"key1\":\"{\\\"innerKey1\\\":\\\"value1\\\"}\",\"key2\":\"0\"}" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{\"id\": 7, \"x\": 1.50}");
        Fake fake = { .answer = rows[i].answer };
        SqlOutside outside = { &fake, answer };
        t.env.outside = &outside;
        check_output(&t, rows[i].statement, rows[i].wanted);
        assert_int_equal(fake.calls, 1);
        check_args(&fake, rows[i].kind, rows[i].args);
        assert_int_equal(sql_reaches_outside(t.sql), 1u << rows[i].kind);
        arena_free(&t.arena);
    }
}

static void a_number_stays_one_for_a_key(void **state) {
    (void)state;
    Trial t = trial_new("{\"id\":7}");
    Fake fake = { .answer = "{}" };
    SqlOutside outside = { &fake, answer };
    t.env.outside = &outside;
    check_output(&t, "SELECT get_dynamodb('t', 'p', id, 's', 'x', 'r') AS i FROM 'a'", "{\"i\":{}}");
    assert_true(fake.last.number[2] && !fake.last.number[4]);
    arena_free(&t.arena);
}

static void what_fails_outside_ends_the_rule_unless_it_is_caught(void **state) {
    (void)state;
    static const struct {
        const char *statement, *answer, *wanted;
        Err err;
        int calls;
    } rows[] = {
        { "SELECT get_dynamodb('t','p',id,'r') AS i FROM 'a'", NULL, "!get_dynamodb: the table is gone", ERR_IO, 1 },
        { "SELECT get_or_default(get_dynamodb('t','p',id,'r').x, 'none') AS i FROM 'a'", NULL, "{\"i\":\"none\"}", OK,
          1 },
        { "SELECT get_or_default(get_dynamodb('t','p',id,'r')) AS i, 1 AS j FROM 'a'", NULL, "{\"j\":1}", OK, 1 },
        { "SELECT get_thing_shadow('t','r') AS i FROM 'a'", "no json", "!get_thing_shadow: the answer is no JSON",
          ERR_MALFORMED, 1 },
        { "SELECT get_secret('s','SecretString','k','r') AS i FROM 'a'", "plain",
          "!get_secret: a key is asked for, and the secret is no JSON object", ERR_INVALID, 1 },
        { "SELECT get_secret('s','SecretBinary','k','r') AS i FROM 'a'", "plain",
          "!get_secret: a SecretBinary has no keys", ERR_INVALID, 0 },
        { "SELECT get_dynamodb('t','p',1,'r') AS a, get_dynamodb('t','p',2,'r') AS b FROM 'a'", "{}",
          "!get_dynamodb may be called once in a statement", ERR_LIMIT, 1 },
        { "SELECT get_or_default(get_dynamodb('t','p',1,'r'), 1) AS a, get_or_default(get_dynamodb('t','p',2,'r'), 2) "
          "AS b "
          "FROM 'a'",
          "{}", "!get_dynamodb may be called once in a statement", ERR_LIMIT, 1 },
        { "SET @d = get_dynamodb('t','p',id,'r') SELECT @d.x AS a, @d.x + 1 AS b FROM 'a'", "{\"x\":1}",
          "{\"a\":1,\"b\":2}", OK, 1 },
        { "SELECT id FROM 'a' WHERE id = 8 AND get_thing_shadow('t','r').x = 1", "{}", "!WHERE", OK, 0 },
        { "SELECT get_thing_shadow(missing,'r') AS i FROM 'a'", "{}", "{}", OK, 0 },
        { "SELECT get_registry_data('DeleteThing','t','r') AS i FROM 'a'", "{}", "{}", OK, 0 },
        { "SELECT get_dynamodb('t','p',1,'s','r') AS i FROM 'a'", "{}", "{}", OK, 0 },
        { "SELECT decode(data, 'proto', 'b', 'k', 'f', 'T') AS i FROM 'a'", "\xff\xff",
          "!decode: the descriptor file is no FileDescriptorSet", ERR_MALFORMED, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{\"id\":7,\"data\":\"AAAA\"}");
        Fake fake = { .answer = rows[i].answer };
        SqlOutside outside = { &fake, answer };
        t.env.outside = &outside;
        Str got = trial_run(&t, str_c(rows[i].statement));
        if (!str_starts(got, str_c(rows[i].wanted))) fail_msg("%s: %.*s", rows[i].statement, PS(got));
        if (t.err != rows[i].err || fake.calls != rows[i].calls)
            fail_msg("%s: %s after %d calls", rows[i].statement, err_name(t.err), fake.calls);
        arena_free(&t.arena);
    }
    Trial t = trial_new("{}");
    check_output(&t, "SELECT aws_lambda('f', *) AS a FROM 'a'", "!aws_lambda: nothing here answers it");
    assert_int_equal(t.err, ERR_NOT_IMPLEMENTED);
    arena_free(&t.arena);
}

/* ---- templates ---- */

static void templates_see_the_payload_and_the_variables(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        { "plain", "plain" },
        { "", "" },
        { "${topic()}/republish", "a/b/c/republish" },
        { "device/${device_id}", "device/d7" },
        { "$$aws/things/${topic(2)}/shadow/update", "$$aws/things/b/shadow/update" },
        { "${missing}", "" },
        { "[${null}]", "[]" },
        { "${color}", "" }, /* an alias of the statement */
        { "${@v}-${@v + 1}", "3-4" },
        { "${obj}", "{\"a\":[1,2.50]}" },
        { "${parse_time('yyyy', timestamp(), 'UTC')}", "2016" },
        { "${get({\"a}b\":'x'}, 'a}b')}|${'}'}", "x|}" },
        { "a$b${'$'}{c}", "a$b${c}" },
        { "${concat('a', \"b\")}${1 < 2}${1.50}", "abtrue1.50" },
        { "\xc3\xa4${'\xc3\xb6'}", "\xc3\xa4\xc3\xb6" },
        { "${encode(*, 'base64')}", "eyJkZXZpY2VfaWQiOiJkNyIsIm9iaiI6eyJhIjpbMSwyLjUwXX0sImMiOjF9" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{\"device_id\":\"d7\",\"obj\":{\"a\":[1,2.50]},\"c\":1}");
        const SqlTemplate *template = NULL;
        Str out = STR_NONE, why = STR_NONE;
        trial_run(&t, S("SET @v = 3 SELECT c AS color FROM 'a'"));
        Err e = sql_template_compile(t.sql, str_c(rows[i].text), &t.arena, &template, &t.fault);
        if (e != OK) fail_msg("%s: %.*s", rows[i].text, PS(t.fault.text));
        assert_int_equal(sql_template_is_constant(template), strstr(rows[i].text, "${") == NULL);
        SqlMessage *message = sql_message_open(&t.in, &t.arena);
        e = sql_template_render(template, message, &t.env, t.result.variables, &out, &why);
        if (e != OK || !str_eq(out, str_c(rows[i].wanted))) fail_msg("%s: %.*s", rows[i].text, PS(out));
        arena_free(&t.arena);
    }
}

static void a_wrong_template_is_refused_where_it_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "a/${", "line 1, column 5: found the end, expected an expression" },
        { "a/${}", "line 1, column 5: found '}', expected an expression" },
        { "a/${b", "line 1, column 6: found the end, expected an operator or '}'" },
        { "a/${b c}", "line 1, column 7: found 'c', expected an operator or '}'" },
        { "${a}${nosuch()}", "line 1, column 7: there is no function nosuch" },
        { "${@w}", "line 1, column 4: @w is not set before" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{}");
        const SqlTemplate *template = NULL;
        assert_int_equal(trial_compile(&t, S("SET @v = 1 SELECT *")), OK);
        assert_int_equal(sql_template_compile(t.sql, str_c(rows[i].text), &t.arena, &template, &t.fault), ERR_INVALID);
        assert_null(template);
        if (!str_eq(t.fault.text, str_c(rows[i].why))) fail_msg("%s: %.*s", rows[i].text, PS(t.fault.text));
        arena_free(&t.arena);
    }
}

static void a_template_that_reaches_outside_says_so(void **state) {
    (void)state;
    Trial t = trial_new("{}");
    Fake fake = { .answer = "{\"API_KEY_VALUE\":\"s3cret\"}" };
    SqlOutside outside = { &fake, answer };
    const SqlTemplate *template = NULL;
    Str out = STR_NONE, why = STR_NONE;
    assert_int_equal(trial_compile(&t, S("SELECT *")), OK);
    Str text =
        S("key ${get_secret('API_KEY', 'SecretString', 'API_KEY_VALUE', 'arn:aws:iam::12345678910:role/getsecret')}");
    assert_int_equal(sql_template_compile(t.sql, text, &t.arena, &template, &t.fault), OK);
    assert_int_equal(sql_template_reaches_outside(template), 1u << SQL_GET_SECRET);
    SqlMessage *message = sql_message_open(&t.in, &t.arena);
    t.env.outside = &outside;
    assert_int_equal(sql_template_render(template, message, &t.env, NULL, &out, &why), OK);
    assert_true(str_eq(out, S("key s3cret")));
    fake.answer = NULL;
    out = STR_NONE;
    assert_int_equal(sql_template_render(template, message, &t.env, NULL, &out, &why), ERR_IO);
    assert_null(out.ptr);
    assert_true(str_eq(why, S("get_secret: the table is gone")));
    arena_free(&t.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_function_asks_in_its_form),
        cmocka_unit_test(a_number_stays_one_for_a_key),
        cmocka_unit_test(what_fails_outside_ends_the_rule_unless_it_is_caught),
        cmocka_unit_test(templates_see_the_payload_and_the_variables),
        cmocka_unit_test(a_wrong_template_is_refused_where_it_is_wrong),
        cmocka_unit_test(a_template_that_reaches_outside_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
