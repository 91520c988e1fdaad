#include "base/json.h"
#include "base/writer.h"
#include "mqtt/props.h"
#include "rules/testing/trial.h"

/* Statements: clauses, names, versions, bounds. The samples are those of the AWS IoT developer guide's pages on SELECT,
 * FROM, WHERE, SET, JSON extensions, literals, nested queries, case statements, operators and binary payloads. */

static const char COLOR[] = "{\"color\":\"red\",\"temperature\":50}";

typedef struct {
    const char *payload, *statement, *wanted;
} Row;

static void run_rows(SqlVersion version, const Row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        Trial t = trial_new(rows[i].payload);
        t.version = version;
        check_output(&t, rows[i].statement, rows[i].wanted);
        arena_free(&t.arena);
    }
}
#define RUN_ROWS(version, rows) run_rows(version, rows, sizeof rows / sizeof *rows)

static void select_as_documented(void **state) {
    (void)state;
    static const char nested[] = "{\"color\":{\"red\":255,\"green\":0,\"blue\":0},\"temperature\":50}";
    static const Row rows[] = {
        { COLOR, "SELECT * FROM 'topic/subtopic'", "{\"color\":\"red\",\"temperature\":50}" },
        { COLOR, "SELECT color FROM 'topic/subtopic'", "{\"color\":\"red\"}" },
        { COLOR, "SELECT color AS my_color FROM 'topic/subtopic'", "{\"my_color\":\"red\"}" },
        { COLOR, "SELECT color as my_color, temperature as fahrenheit FROM 'topic/subtopic'",
          "{\"my_color\":\"red\",\"fahrenheit\":50}" },
        { COLOR, "SELECT *, 15 as speed FROM 'topic/subtopic'", "{\"color\":\"red\",\"temperature\":50,\"speed\":15}" },
        { COLOR, "SELECT VALUE color FROM 'topic/subtopic'", "\"red\"" },
        { nested, "SELECT color.red as red_value FROM 'topic/subtopic'", "{\"red_value\":255}" },
        { COLOR, "SELECT (temperature - 32) * 5 / 9 AS celsius, upper(color) as my_color FROM 'topic/subtopic'",
          "{\"celsius\":10,\"my_color\":\"RED\"}" },
        { "{\"foo\":{\"bar\":\"RED\",\"bar1\":\"GREEN\",\"bar2\":\"BLUE\"}}",
          "SELECT foo.bar AS bar.baz FROM 'topic/subtopic'", "{\"bar\":{\"baz\":\"RED\"}}" },
        { "{\"deviceid\":\"iot123\",\"temp\":54.98,\"humidity\":32.43,\"coords\":{\"latitude\":47.615694,"
          "\"longitude\":-122.3359976}}",
          "SELECT temp, md5(deviceid) AS hashed_id FROM 'topic/#'",
          "{\"temp\":54.98,\"hashed_id\":\"e37f81fb397e595c4aeb5645b8cbbbd1\"}" },
        /* names */
        { COLOR, "SELECT *, 'blue' AS color FROM 'a'", "{\"color\":\"blue\",\"temperature\":50}" },
        { COLOR, "SELECT 1 AS a.b, 2 AS a.c, 3 AS a.b, 4 AS a.d.e FROM 'a'",
          "{\"a\":{\"b\":3,\"c\":2,\"d\":{\"e\":4}}}" },
        { nested, "SELECT *, 7 AS color.alpha FROM 'a'",
          "{\"color\":{\"red\":255,\"green\":0,\"blue\":0,\"alpha\":7},\"temperature\":50}" },
        { nested, "SELECT color.* FROM 'a'", "{\"red\":255,\"green\":0,\"blue\":0}" },
        { nested, "SELECT color.*, temperature FROM 'a'", "{\"red\":255,\"green\":0,\"blue\":0,\"temperature\":50}" },
        { nested, "SELECT color.red, topic(1), temperature + 1, 'x' AS 'key with spaces' FROM 'a'",
          "{\"red\":255,\"topic\":\"a\",\"temperature + 1\":51,\"key with spaces\":\"x\"}" },
        { COLOR, "SELECT missing, color FROM 'a'", "{\"color\":\"red\"}" },
        { COLOR, "SELECT missing FROM 'a'", "{}" },
        { COLOR, "SELECT VALUE missing FROM 'a'", "" },
        { COLOR, "SELECT {\"key-with-hyphen\": color, \"1x\": temperature} FROM 'a'",
          "{\"key-with-hyphen\":\"red\",\"1x\":50}" },
        { COLOR, "select color as a from 'a' where temperature=50 and not false", "{\"a\":\"red\"}" },
        { "{\"a\":1,\"a\":2}", "SELECT a AS last FROM 'a'", "{\"last\":2}" },
        /* an attribute may be called value */
        { "{\"value\":5}", "SELECT value FROM 'a'", "{\"value\":5}" },
        { "{\"value\":5}", "SELECT value * 2 AS v, value FROM 'a' WHERE value > 4", "{\"v\":10,\"value\":5}" },
        { "{\"value\":{\"end\":5}}", "SELECT value.end FROM 'a'", "{\"end\":5}" },
        { "{\"value\":5}", "SELECT VALUE value FROM 'a'", "5" },
        { "{\"value\":5}", "SELECT VALUE * FROM 'a'", "{\"value\":5}" },
        { "{\"set\":1,\"when\":2}", "SELECT set FROM 'a'", "{\"set\":1}" },
        { "[1,2]", "SELECT * FROM 'a'", "[1,2]" },
        { "80", "SELECT * FROM 'a'", "80" },
        { "{\"arr\":[1,[2,3]]}", "SELECT arr[1][0] AS x, arr[9] AS y FROM 'a'", "{\"x\":2}" },
        { "{\"t\":\"a \\\"quoted\\\" \\u00e9\\n\"}", "SELECT * FROM 'a'", "{\"t\":\"a \\\"quoted\\\" é\\n\"}" },
        { "{\"t\":1}", "SELECT 'it''s' AS a, \"it's\" AS b, 'a\\d\\\\e\\'' AS c FROM 'a'",
          "{\"a\":\"it's\",\"b\":\"it's\",\"c\":\"a\\\\d\\\\e'\"}" },
    };
    RUN_ROWS(SQL_2016_03_23, rows);
}

static void where_as_documented(void **state) {
    (void)state;
    static const Row rows[] = {
        { "{\"color\":\"red\",\"temperature\":40}",
          "SELECT color AS my_color FROM 'topic/subtopic' WHERE temperature > 50 AND color <> 'red'", "!WHERE" },
        { "{\"a\":\"true\"}", "SELECT a FROM 'a' WHERE a", "{\"a\":\"true\"}" },
        { "{\"a\":1}", "SELECT a FROM 'a' WHERE a", "!WHERE" },
        { "{\"a\":1}", "SELECT a FROM 'a' WHERE missing", "!WHERE" },
        { "{\"a\":1}", "SELECT a AS b FROM 'a' WHERE b = 1", "!WHERE" },
        { "{\"a\":1}", "SELECT a WHERE a = 1", "{\"a\":1}" },
        { "80",
          "SELECT decode(encode(*, 'base64'), 'base64') AS value FROM 'topic/subtopic' WHERE decode(encode(*, "
          "'base64'), "
          "'base64') > 50",
          "{\"value\":80}" },
        { "{\"mydata\":{\"item2\":{\"0\":{\"my-key\":\"myValue\"}}}}",
          "SELECT * from 'iot/rules' WHERE get(get(get(mydata,\"item2\"),\"0\"),\"my-key\") = \"myValue\"",
          "{\"mydata\":{\"item2\":{\"0\":{\"my-key\":\"myValue\"}}}}" },
    };
    RUN_ROWS(SQL_2016_03_23, rows);
}

static void cases_as_documented(void **state) {
    (void)state;
    static const char lights[] =
        "SELECT CASE color WHEN 'green' THEN 'go' WHEN 'yellow' THEN 'caution' WHEN 'red' THEN "
        "'stop' ELSE 'you are not at a stop light' END as instructions FROM 'topic/subtopic'";
    static const Row rows[] = {
        { "{\"color\":\"yellow\"}", lights, "{\"instructions\":\"caution\"}" },
        { "{\"color\":\"blue\"}", lights, "{\"instructions\":\"you are not at a stop light\"}" },
        { "{}", lights, "{}" },
        { "{\"a\":2}", "SELECT CASE a WHEN 1 THEN 'one' END AS x FROM 'a'", "{}" },
        { "{\"a\":2}", "SELECT CASE a WHEN 2 THEN 'x' WHEN 2.0 THEN 'y' END AS x FROM 'a'", "{\"x\":\"x\"}" },
        { "{\"a\":2}", "SELECT CASE a > 1 WHEN true THEN a * 2 ELSE a END AS x FROM 'a'", "{\"x\":4}" },
    };
    RUN_ROWS(SQL_2015_10_08, rows);
}

static const char SENML[] = "{\"e\":[{\"n\":\"temperature\",\"u\":\"Cel\",\"t\":1234,\"v\":22.5},"
                            "{\"n\":\"light\",\"u\":\"lm\",\"t\":1235,\"v\":135},"
                            "{\"n\":\"acidity\",\"u\":\"pH\",\"t\":1235,\"v\":7}]}";
static const char MIXED[] = "{\"arr\":[1,2,3,\"three\",5.7,null],\"n\":\"outer\",\"m\":{\"x\":[[1],{\"k\":2}]}}";

static void nested_queries_as_documented(void **state) {
    (void)state;
    static const char deep[] =
        "{\"data1\":\"example\",\"data2\":{\"a\":\"first attribute\",\"b\":\"second "
        "attribute\",\"c\":[{\"x\":{\"someInt\":5,"
        "\"someString\":\"hello\"},\"y\":true},{\"x\":{\"someInt\":10,\"someString\":\"world\"},\"y\":false}]}}";
    static const Row rows[] = {
        { SENML, "SELECT (SELECT VALUE n FROM e) as sensors FROM 'my/topic'",
          "{\"sensors\":[\"temperature\",\"light\",\"acidity\"]}" },
        { SENML, "SELECT (SELECT v FROM e WHERE n = 'temperature') as temperature FROM 'my/topic'",
          "{\"temperature\":[{\"v\":22.5}]}" },
        { SENML, "SELECT get((SELECT v FROM e WHERE n = 'temperature'), 0).v as temperature FROM 'topic'",
          "{\"temperature\":22.5}" },
        { deep,
          "select value transform('enrichArray', (select a, b from data2), (select value c from data2)) from 'A/B'",
          "[{\"x\":{\"someInt\":5,\"someString\":\"hello\"},\"y\":true,\"a\":\"first attribute\",\"b\":\"second "
          "attribute\"},{\"x\":{\"someInt\":10,\"someString\":\"world\"},\"y\":false,\"a\":\"first attribute\",\"b\":"
          "\"second attribute\"}]" },
        { MIXED, "SELECT (SELECT VALUE a FROM arr AS a WHERE a > 2) AS x FROM 'a'", "{\"x\":[3,5.7]}" },
        { MIXED,
          "SELECT EXISTS (SELECT * FROM arr AS a WHERE a = 3) AS yes, EXISTS (SELECT * FROM arr AS a WHERE a = 4) AS "
          "no, EXISTS (SELECT * FROM missing) AS none FROM 'a'",
          "{\"yes\":true,\"no\":false,\"none\":false}" },
        { MIXED,
          "SELECT 3 in arr AS a, 'three' IN arr AS b, 5.70 IN arr AS c, 4 IN arr AS d, null IN arr AS e, [1] IN "
          "m.x AS f, {'k':2} IN m.x AS g, 1 IN [1,2] AS h, 2 IN (SELECT VALUE a FROM arr AS a) AS i, missing IN "
          "arr AS j, 3 IN n AS k FROM 'a'",
          "{\"a\":true,\"b\":true,\"c\":true,\"d\":false,\"e\":true,\"f\":true,\"g\":true,\"h\":true,\"i\":true}" },
        /* a bare name is the element's, also where the payload has it */
        { "{\"n\":1,\"arr\":[{\"n\":2},{\"m\":3}]}", "SELECT (SELECT n FROM arr) AS x FROM 'a'",
          "{\"x\":[{\"n\":2}]}" },
        { "{\"o\":[{\"k\":1,\"i\":[{\"v\":5},{\"v\":6}]}]}",
          "SELECT (SELECT VALUE (SELECT p.k AS k, v FROM i AS q WHERE q.v > 5) FROM o AS p) AS x FROM 'a'",
          "{\"x\":[[{\"k\":1,\"v\":6}]]}" },
        { "{\"a\":5}", "SELECT (SELECT x FROM a) AS y FROM 'a'", "{}" },
        { SENML, "SET @lit = 20 SELECT (SELECT VALUE v FROM e WHERE v > @lit) AS x FROM 'a'", "{\"x\":[22.5,135]}" },
        { SENML, "SELECT VALUE (SELECT * FROM e WHERE n = 'light') FROM 'a'",
          "[{\"n\":\"light\",\"u\":\"lm\",\"t\":1235,\"v\":135}]" },
    };
    RUN_ROWS(SQL_2016_03_23, rows);
}

static void literals_as_documented(void **state) {
    (void)state;
    static const Row rows[] = {
        { "{\"lat_long\":[47.606,-122.332]}",
          "SELECT {'latitude': get(lat_long, 0),'longitude':get(lat_long, 1)} as lat_long FROM 'topic/subtopic'",
          "{\"lat_long\":{\"latitude\":47.606,\"longitude\":-122.332}}" },
        { "{\"lat\":47.696,\"long\":-122.332}", "SELECT [lat,long] as lat_long FROM 'topic/subtopic'",
          "{\"lat_long\":[47.696,-122.332]}" },
        { "{}", "SELECT [] AS a, {} AS b, [1,missing,null] AS c, {'x':missing,'y':null} AS d FROM 'a'",
          "{\"a\":[],\"b\":{},\"c\":[1,null],\"d\":{\"y\":null}}" },
        { "{}", "SELECT NULL AS n FROM 'topic/subtopic'", "{\"n\":null}" },
        { "{\"a\":{\"b\":\"c\"},\"arr\":[1,2,3,4]}", "SELECT VALUE arr FROM 'topic'", "[1,2,3,4]" },
    };
    RUN_ROWS(SQL_2016_03_23, rows);
}

static void variables_are_set_once_and_seen_everywhere(void **state) {
    (void)state;
    static const Row rows[] = {
        { "{\"a\":{\"b\":{\"c\":3}}}", "SET @v = a, @w = @v.b.c + 1 SELECT @w AS w, @v.b FROM 'a' WHERE @w = 4",
          "{\"w\":4,\"b\":{\"c\":3}}" },
        { "{}", "SET @v = missing SELECT @v AS v, isUndefined(@v) AS u FROM 'a'", "{\"u\":true}" },
        { "{}", "SELECT @v FROM 'a'", "!line 1, column 9: @v is not set before" },
        { "{}", "SET @v = @v SELECT @v FROM 'a'", "!line 1, column 11: @v is not set before" },
        { "{}", "SET @v = 1, @v = 2 SELECT @v FROM 'a'", "!line 1, column 14: @v is set already" },
        { "{}", "SET @a=1,@b=1,@c=1,@d=1,@e=1,@f=1,@g=1,@h=1,@i=1,@j=1,@k=1 SELECT @a FROM 'a'",
          "!line 1, column 56: SET has more than 10 variables" },
    };
    RUN_ROWS(SQL_2016_03_23, rows);
}

static void binary_payloads_as_documented(void **state) {
    (void)state;
    Trial t = trial_new("");
    t.in.payload = S("\x00\xff{not json");
    Str raw = trial_run(&t, S("SELECT * FROM 'topic/subtopic'"));
    assert_true(str_eq(raw, t.in.payload) && t.result.binary);
    raw = trial_run(&t, S("SELECT * FROM 'topic/subtopic' WHERE timestamp() % 2 = 1"));
    assert_true(str_eq(raw, t.in.payload) && t.result.binary);
    check_output(&t, "SELECT *, clientid() as c FROM 'topic/subtopic'",
                 "{\"payload\":\"AP97bm90IGpzb24=\",\"c\":\"lamp\"}");
    assert_false(t.result.binary);
    check_output(&t, "SELECT encode(*, 'base64') AS data, timestamp() AS ts FROM 'topic/subtopic'",
                 "{\"data\":\"AP97bm90IGpzb24=\",\"ts\":1481825251155}");
    check_output(&t, "SELECT * FROM 'topic/subtopic' WHERE device_type = 'thermostat'", "!WHERE");
    check_output(&t, "SELECT upper(*) AS u, a.b AS c FROM 'a'", "{}");
    check_output(&t, "SET @v = * SELECT @v AS v FROM 'a'", "{}");
    t.in.payload = S("");
    check_output(&t, "SELECT *, 1 AS a FROM 'a'", "{\"payload\":\"\",\"a\":1}");
    arena_free(&t.arena);
}

static void numbers_keep_34_digits(void **state) {
    (void)state;
    static const char digits[] = "{\"i\":1234567890123456789012345678901234,\"d\":0.1234567890123456789012345678901234,"
                                 "\"n\":-9999999999999999999999999999999999}";
    static const Row rows[] = {
        { digits, "SELECT * FROM 'a'", digits },
        { digits, "SELECT i, d, n FROM 'a'", digits },
        { digits, "SELECT *, 1 AS x FROM 'a'",
          "{\"i\":1234567890123456789012345678901234,\"d\":0.1234567890123456789012345678901234,"
          "\"n\":-9999999999999999999999999999999999,\"x\":1}" },
        { digits, "SELECT i + 1 AS i, d + 0 AS d, n - 1 AS n FROM 'a'",
          "{\"i\":1234567890123456789012345678901235,\"d\":0.1234567890123456789012345678901234,"
          "\"n\":-1.000000000000000000000000000000000E+34}" },
        { "{\"a\":0.1,\"b\":0.2}", "SELECT a + b AS s, 0.1 + 0.2 = 0.3 AS t FROM 'a'", "{\"s\":0.3,\"t\":true}" },
        { "{\"a\":0.1,\"b\":3}", "SELECT 1.0 / b AS x, 2 / 3.0 AS y FROM 'a'", "{\"x\":0,\"y\":0}" },
        { "{\"b\":3}", "SELECT 1.5 / b AS x, 2.5 / 3.5 AS y FROM 'a'",
          "{\"x\":0.5,\"y\":0.7142857142857142857142857142857143}" },
    };
    RUN_ROWS(SQL_2016_03_23, rows);
}

/* "With SQL V2, numeric values that are whole numbers, such as 10.0, are processed as an Int" */
static void whole_numbers_are_ints_since_2016(void **state) {
    (void)state;
    static const char payload[] = "{\"a\":10.0,\"b\":[1.50,2.0,-0.0,1e2,1E-7],\"c\":-0}";
    static const Row first[] = {
        { payload, "SELECT * FROM 'a'", "{\"a\":10.0,\"b\":[1.50,2.0,0.0,1E+2,1E-7],\"c\":0}" },
        { payload, "SELECT a / 4 AS x, a FROM 'a'", "{\"x\":2.5,\"a\":10.0}" },
    };
    static const Row second[] = {
        { payload, "SELECT * FROM 'a'", "{\"a\":10,\"b\":[1.50,2,0,100,1E-7],\"c\":0}" },
        { payload, "SELECT a / 4 AS x, a FROM 'a'", "{\"x\":2,\"a\":10}" },
        { payload, "SELECT cast(a as Decimal) AS x FROM 'a'", "{\"x\":10}" },
    };
    RUN_ROWS(SQL_2015_10_08, first);
    RUN_ROWS(SQL_2016_03_23, second);
    RUN_ROWS(SQL_BETA, second);
}

static void what_a_version_has_not_is_refused_by_name(void **state) {
    (void)state;
    static const Row first[] = {
        { "{}", "SELECT [1] AS a FROM 'a'",
          "!line 1, column 8: a literal array or object needs SQL version 2016-03-23 or later" },
        { "{}", "SELECT {'a':1} AS a FROM 'a'",
          "!line 1, column 8: a literal array or object needs SQL version 2016-03-23 or later" },
        { "{}", "SELECT (SELECT a FROM b) AS a FROM 'a'",
          "!line 1, column 9: a nested query needs SQL version 2016-03-23 or later" },
        { "{}", "SELECT encode(*, 'base64') AS a FROM 'a'",
          "!line 1, column 8: encode needs SQL version 2016-03-23 or later" },
        { "{}", "SELECT length('a') AS a FROM 'a'", "!line 1, column 8: length needs SQL version 2016-03-23 or later" },
        { "{}", "SELECT cast(1 AS Boolean) AS a FROM 'a'",
          "!line 1, column 18: a cast to Boolean needs SQL version 2016-03-23 or later" },
        { "{\"a\":[1]}", "SELECT VALUE a FROM 'a'", "" },
        { "{\"a\":[1]}", "SELECT a, sql_version() AS v FROM 'a'", "{\"a\":[1],\"v\":\"2015-10-08\"}" },
    };
    RUN_ROWS(SQL_2015_10_08, first);
    SqlVersion v;
    assert_int_equal(sql_version_parse(S(""), &v), OK);
    assert_int_equal(v, SQL_2015_10_08);
    assert_int_equal(sql_version_parse(S("beta"), &v), OK);
    assert_int_equal(v, SQL_BETA);
    assert_int_equal(sql_version_parse(S("2017-01-01"), &v), ERR_INVALID);
    assert_int_equal(v, SQL_BETA);
}

static void a_fault_says_where_what_and_what_instead(void **state) {
    (void)state;
    static const struct {
        const char *statement;
        int line, column;
        const char *found, *expected;
    } rows[] = {
        { "", 1, 1, "the end", "SELECT" },
        { "UPDATE a", 1, 1, "UPDATE", "SELECT" },
        { "SELECT", 1, 7, "the end", "an expression" },
        { "SELECT FROM 'a'", 1, 8, "FROM", "an expression" },
        { "SELECT a, FROM 'a'", 1, 11, "FROM", "an expression" },
        { "SELECT a b FROM 'a'", 1, 10, "b", "',', AS, FROM, WHERE or an operator" },
        { "SELECT * FROM a/b", 1, 15, "a", "a topic filter in quotes" },
        { "SELECT *\nFROM 'a/#/b'", 2, 6, "'a/#/b'", "a topic filter of at most 256 bytes and 8 levels" },
        { "SELECT * FROM 'a' WHERE", 1, 24, "the end", "an expression" },
        { "SELECT * FROM 'a' WHERE a =", 1, 28, "the end", "an expression" },
        { "SELECT * FROM 'a' WHERE a = 1 LIMIT 5", 1, 31, "LIMIT", "an operator, or the end" },
        { "SELECT * FROM 'a';", 1, 18, ";", "WHERE, or the end" },
        { "SELECT abs(1 FROM 'a'", 1, 14, "FROM", "',' or ')'" },
        { "SELECT nosuch(1) FROM 'a'", 1, 8, "nosuch", "the name of a function" },
        { "SELECT 'abc FROM a", 1, 8, "'abc FROM a", "an expression" },
        { "SELECT a.1 FROM 'a'", 1, 10, "1", "a name" },
        { "SELECT 1e9999 FROM 'a'", 1, 8, "1e9999", "a number between 1E-999 and 9.99E999" },
        { "SELECT VALUE a, b FROM 'a'", 1, 17, "b", "FROM: SELECT VALUE has one item" },
        { "SELECT CASE a END FROM 'a'", 1, 15, "END", "WHEN" },
        { "SELECT CASE a WHEN 1 THEN 2 FROM 'a'", 1, 29, "FROM", "WHEN, ELSE or END" },
        { "SELECT cast(a AS Foo) FROM 'a'", 1, 18, "Foo", "a type: String, Int or Double, Decimal or Boolean" },
        { "SELECT cast(a) FROM 'a'", 1, 14, ")", "AS and a type" },
        { "SELECT {a: 1} FROM 'a'", 1, 9, "a", "a key in quotes" },
        { "SELECT (SELECT a FROM 'x') FROM 'a'", 1, 23, "'x'",
          "an attribute: only the outermost FROM names a topic, and in quotes" },
        { "SELECT \xc3\xa4\xc3\xb6 ~ FROM 'a'", 1, 11, "~", "',', AS, FROM, WHERE or an operator" },
        { "-- comment\nSELECT * FROM 'a'", 1, 1, "-", "SELECT" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{}");
        const Sql *before = t.sql;
        if (trial_compile(&t, str_c(rows[i].statement)) == OK) fail_msg("%s compiles", rows[i].statement);
        assert_ptr_equal(t.sql, before);
        if (t.fault.line != rows[i].line || t.fault.column != rows[i].column ||
            !str_eq(t.fault.found, str_c(rows[i].found)) || !str_eq(t.fault.expected, str_c(rows[i].expected)))
            fail_msg("%s: %d:%d found %.*s, expected %.*s", rows[i].statement, t.fault.line, t.fault.column,
                     PS(t.fault.found), PS(t.fault.expected));
        assert_true(t.fault.text.len > 0);
        arena_free(&t.arena);
    }
}

static void from_gives_the_filter(void **state) {
    (void)state;
    static const struct {
        const char *statement, *filter;
    } rows[] = {
        { "SELECT * FROM 'topic/#'", "topic/#" },
        { "SELECT * FROM 'topic/+'", "topic/+" },
        { "SELECT * FROM '$aws/things/+/shadow/update/accepted'", "$aws/things/+/shadow/update/accepted" },
        { "SELECT * FROM \"a\"", "a" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{}");
        assert_int_equal(trial_compile(&t, str_c(rows[i].statement)), OK);
        assert_true(str_eq(sql_topic_filter(t.sql), str_c(rows[i].filter)));
        arena_free(&t.arena);
    }
    Trial t = trial_new("{}");
    assert_int_equal(trial_compile(&t, S("SELECT *")), OK);
    assert_null(sql_topic_filter(t.sql).ptr);
    arena_free(&t.arena);
}

static void mqtt5_properties_are_seen(void **state) {
    (void)state;
    Trial t = trial_new("{}");
    Writer w = writer_in(&t.arena);
    MqttProps props = { .has = MQTT_HAS(MQTT_PROP_PAYLOAD_FORMAT) | MQTT_HAS(MQTT_PROP_CONTENT_TYPE) |
                               MQTT_HAS(MQTT_PROP_RESPONSE_TOPIC) | MQTT_HAS(MQTT_PROP_CORRELATION_DATA),
                        .payload_format = 1,
                        .content_type = S("application/json"),
                        .response_topic = S("r/t"),
                        .correlation_data = S("\x01\x02") };
    Writer user = writer_in(&t.arena);
    mqtt_props_put_user(&user, S("k"), S("v1"));
    mqtt_props_put_user(&user, S("other"), S("x"));
    mqtt_props_put_user(&user, S("k"), S("v2"));
    props.raw = writer_str(&user);
    props.user_n = 3;
    props.has |= MQTT_HAS(MQTT_PROP_USER);
    mqtt_props_write(&w, &props);
    t.in.properties = str_from(writer_str(&w), 1); /* without its length */
    check_output(&t,
                 "SELECT get_mqtt_property('format_indicator') AS f, get_mqtt_property('content_type') AS c, "
                 "get_mqtt_property('response_topic') AS r, get_mqtt_property('correlation_data') AS d, "
                 "get_mqtt_property('other') AS o, get_user_properties('k') AS k, get_user_properties('none') AS n, "
                 "get_user_properties() AS a FROM 'a'",
                 "{\"f\":\"UTF8_DATA\",\"c\":\"application/json\",\"r\":\"r/t\",\"d\":\"AQI=\",\"k\":[\"v1\",\"v2\"],"
                 "\"a\":[{\"k\":\"v1\"},{\"other\":\"x\"},{\"k\":\"v2\"}]}");
    t.in.properties = STR_NONE;
    check_output(&t,
                 "SELECT get_mqtt_property('format_indicator') AS f, get_mqtt_property('content_type') AS c, "
                 "get_user_properties('k') AS k, get_user_properties() AS a FROM 'a'",
                 "{\"f\":\"UNSPECIFIED_BYTES\",\"a\":[]}");
    arena_free(&t.arena);
}

/* ---- why ---- */

static void undefined_is_explained_where_it_began(void **state) {
    (void)state;
    Trial t = trial_new("{\"a\":\"x\",\"b\":{\"c\":1},\"arr\":[1]}");
    t.env.explain = true;
    check_output(
        &t,
        "SELECT upper(missing) AS u,\n  abs(a) + 1 AS v, b.c.d AS w, arr[3] AS y, nanvl(gone, 1) AS ok, a - 1 AS z "
        "FROM 'a'",
        "{\"ok\":1}");
    static const struct {
        int line, column;
        const char *expression, *why;
    } wanted[] = {
        { 1, 14, "missing", "the payload has no member 'missing'" },
        { 2, 3, "abs(a)", "argument 1 of abs must be a number, got String \"x\"" },
        { 2, 20, "b.c.d", "Int 1 has no member 'd'" },
        { 2, 32, "arr[3]", "there is no item at 3" },
        { 2, 67, "a - 1", "- does not take String \"x\" and Int 1" },
    };
    assert_int_equal(t.result.undefined_n, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const SqlUndefined *u = &t.result.undefined[i];
        if (u->line != wanted[i].line || u->column != wanted[i].column ||
            !str_eq(u->expression, str_c(wanted[i].expression)) || !str_eq(u->why, str_c(wanted[i].why)))
            fail_msg("%d:%d %.*s: %.*s", u->line, u->column, PS(u->expression), PS(u->why));
    }
    arena_free(&t.arena);
}

/* ---- bounds ---- */

static Str repeated(Arena *arena, const char *before, const char *piece, size_t n, const char *middle,
                    const char *closing, const char *after) {
    Writer w = writer_in(arena);
    writer_bytes(&w, str_c(before));
    for (size_t i = 0; i < n; i++) writer_bytes(&w, str_c(piece));
    writer_bytes(&w, str_c(middle));
    for (size_t i = 0; i < n; i++) writer_bytes(&w, str_c(closing));
    writer_bytes(&w, str_c(after));
    return writer_str(&w);
}

static void nesting_is_bounded_and_chains_are_not_nesting(void **state) {
    (void)state;
    static const struct {
        const char *piece, *middle, *closing;
        size_t n;
        Err wanted;
    } rows[] = {
        { "(", "1", ")", 60, OK },
        { "(", "1", ")", 100000 / 2, ERR_LIMIT },
        { "NOT ", "true", "", 30000, ERR_LIMIT },
        { "- ", "1", "", 50000, ERR_LIMIT },
        { "[", "", "]", 50000, ERR_LIMIT },
        { "{'a':", "1", "}", 20000, ERR_LIMIT },
        { "abs(", "1", ")", 20000, ERR_LIMIT },
        { "CASE 1 WHEN ", "1", "", 9000, ERR_LIMIT },
        { "1+", "1", "", 60000, OK },
        { "a.", "a", "", 60000, OK },
        { "true AND ", "true", "", 14000, OK },
        { "(SELECT VALUE ", "a", " FROM a)", 5000, ERR_LIMIT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("{}");
        Str text = repeated(&t.arena, "SELECT VALUE ", rows[i].piece, rows[i].n, rows[i].middle, rows[i].closing, "");
        Err e = trial_compile(&t, text);
        if (e != rows[i].wanted) fail_msg("%zu of %s: %s", rows[i].n, rows[i].piece, err_name(e));
        if (e == OK) trial_run(&t, text);
        arena_free(&t.arena);
    }
    Trial t = trial_new("{}");
    assert_int_equal(trial_compile(&t, repeated(&t.arena, "SELECT ", "a,", 70000, "a", "", "")), ERR_LIMIT);
    arena_free(&t.arena);
}

static void no_statement_takes_for_ever(void **state) {
    (void)state;
    Arena arena = { 0 };
    Str many = repeated(&arena, "{\"e\":[", "1,", 2000, "1", "", "]}");
    Str deep = repeated(&arena, "{\"e\":", "[", 60000, "", "]", "}");
    Str wide = repeated(&arena, "{\"s\":\"", "0123456789", 10000, "", "", "\"}");
    static const struct {
        int payload;
        const char *statement, *why;
    } rows[] = {
        { 0, "SELECT (SELECT VALUE (SELECT VALUE (SELECT VALUE x FROM y AS x) FROM y AS z) FROM e AS y) AS a FROM 'a'",
          NULL },
        { 0, "SET @e = e SELECT (SELECT VALUE (SELECT VALUE (SELECT VALUE 1 FROM @e) FROM @e) FROM @e) AS a FROM 'a'",
          "!an array or object of" },
        { 1, "SELECT * FROM 'a'", "!a value is nested deeper than 512" },
        { 1, "SELECT e = e AS x FROM 'a'", "!a value is nested deeper than 512" },
        { 1, "SELECT upper(e) AS x FROM 'a'", "!a value is nested deeper than 512" },
        { 2, "SELECT s + s AS x FROM 'a'", "!a value of 200000 bytes is larger than 131072" },
        { 2, "SELECT replace(s, '', s) AS x FROM 'a'", "!a value of" },
        { 2, "SELECT regexp_replace(s, '[0-9]', s) AS x FROM 'a'", "!a value of" },
        { 2, "SET @a = s, @b = s SELECT 1 AS x FROM 'a'", "!the variables of SET are larger than 131072 bytes" },
        { 2, "SELECT [s,s] AS x FROM 'a'", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Trial t = trial_new("");
        t.in.payload = rows[i].payload == 0 ? many : rows[i].payload == 1 ? deep : wide;
        Str got = trial_run(&t, str_c(rows[i].statement));
        if (rows[i].why && (!str_starts(got, str_c(rows[i].why)) || t.err != ERR_LIMIT))
            fail_msg("%s: %.*s", rows[i].statement, (int)(got.len > 200 ? 200 : got.len), (const char *)got.ptr);
        arena_free(&t.arena);
    }
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_as_documented),
        cmocka_unit_test(where_as_documented),
        cmocka_unit_test(cases_as_documented),
        cmocka_unit_test(nested_queries_as_documented),
        cmocka_unit_test(literals_as_documented),
        cmocka_unit_test(variables_are_set_once_and_seen_everywhere),
        cmocka_unit_test(binary_payloads_as_documented),
        cmocka_unit_test(numbers_keep_34_digits),
        cmocka_unit_test(whole_numbers_are_ints_since_2016),
        cmocka_unit_test(what_a_version_has_not_is_refused_by_name),
        cmocka_unit_test(a_fault_says_where_what_and_what_instead),
        cmocka_unit_test(from_gives_the_filter),
        cmocka_unit_test(mqtt5_properties_are_seen),
        cmocka_unit_test(undefined_is_explained_where_it_began),
        cmocka_unit_test(nesting_is_bounded_and_chains_are_not_nesting),
        cmocka_unit_test(no_statement_takes_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
