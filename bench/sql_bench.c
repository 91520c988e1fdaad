#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rules/sql.h"

/* A rule's statement on one core, beside the same work by yyjson alone: read, filter, project, write.
 *
 *   sql_bench [SECONDS]     one JSON object; ratio is the statement's time by the floor's
 *
 * The floor knows what it looks for: it reads numbers as doubles, keeps no digits, checks no limits. Messages change,
 * so that nothing can be remembered of the one before; every second one passes WHERE. */

static const char STATEMENT[] = "SELECT temp, topic(2) AS dev FROM 'a/+/t' WHERE temp > 50";
static const char PAYLOAD[] = "{\"temp\":%d.%02d,\"hum\":40,\"ts\":1700000000%03d,\"id\":\"sensor-17\",\"bat\":3.71,"
                              "\"fw\":\"1.4.2\",\"ok\":true,\"pos\":{\"lat\":47.615694,\"lon\":-122.3359976}}";
enum { MESSAGES = 256, MESSAGE_BYTES = 256, POOL_BYTES = 16384 };

typedef struct {
    char text[MESSAGES][MESSAGE_BYTES];
    size_t len[MESSAGES];
} Messages;

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill(Messages *m) {
    for (int i = 0; i < MESSAGES; i++)
        m->len[i] = (size_t)snprintf(m->text[i], MESSAGE_BYTES, PAYLOAD, i % 2 ? 20 + i % 29 : 51 + i % 49, i % 100, i);
}

/* Bytes written; 0 where the filter does not hold. */
static size_t floor_message(const char *text, size_t len, Str topic, void *pool) {
    yyjson_alc alc;
    yyjson_alc_pool_init(&alc, pool, POOL_BYTES);
    yyjson_doc *in = yyjson_read_opts((char *)(uintptr_t)text, len, 0, &alc, NULL);
    yyjson_val *temp = yyjson_obj_get(yyjson_doc_get_root(in), "temp");
    if (yyjson_get_num(temp) <= 50) return 0;
    Str rest = topic;
    str_cut(&rest, '/');
    Str level = str_cut(&rest, '/');
    yyjson_mut_doc *out = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *o = yyjson_mut_obj(out);
    yyjson_mut_doc_set_root(out, o);
    yyjson_mut_obj_add_val(out, o, "temp", yyjson_val_mut_copy(out, temp));
    yyjson_mut_obj_add_strn(out, o, "dev", (const char *)level.ptr, level.len);
    size_t n = 0;
    return yyjson_mut_write_opts(out, 0, &alc, &n, NULL) ? n : 0;
}

static double run_floor(const Messages *m, Str topic, double seconds, size_t *bytes) {
    void *pool = malloc(POOL_BYTES);
    size_t n = 0;
    double start = cpu_s(), now = start;
    for (; now < start + seconds; now = cpu_s())
        for (int i = 0; i < MESSAGES; i++, n++) *bytes += floor_message(m->text[i], m->len[i], topic, pool);
    free(pool);
    return (now - start) / (double)n;
}

static double run_sql(const Messages *m, Str topic, double seconds, size_t *bytes) {
    Arena kept = { 0 }, arena = { 0 };
    const Sql *sql;
    SqlFault fault;
    Rng rng = { 0 };
    SqlEnv env = { .account = S("123456789012"), .rng = &rng };
    if (sql_compile(str_c(STATEMENT), SQL_2016_03_23, &kept, &sql, &fault) != OK) abort();
    size_t n = 0;
    double start = cpu_s(), now = start;
    for (; now < start + seconds; now = cpu_s()) {
        for (int i = 0; i < MESSAGES; i++, n++) {
            SqlMessageIn in = { .topic = topic, .payload = { (const uint8_t *)m->text[i], m->len[i] }, .time_ms = 1 };
            SqlResult result;
            if (sql_run(sql, sql_message_open(&in, &arena), &env, &result) != OK) abort();
            *bytes += result.output.len;
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
    arena_free(&kept);
    return (now - start) / (double)n;
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    Messages *m = calloc(1, sizeof *m);
    if (!m || seconds <= 0) return 2;
    fill(m);
    double floor = 1, sql = 1;
    size_t floor_bytes = 0, sql_bytes = 0;
    for (int round = 0; round < 5; round++) { /* the best of each: what the machine's other work disturbs least */
        double f = run_floor(m, S("a/sensor-17/t"), seconds / 5, &floor_bytes);
        double s = run_sql(m, S("a/sensor-17/t"), seconds / 5, &sql_bytes);
        floor = f < floor ? f : floor;
        sql = s < sql ? s : sql;
    }
    if (!floor_bytes || !sql_bytes) return 2;
    printf("{\"floor_per_s\": %.0f, \"floor_ns\": %.0f, \"sql_per_s\": %.0f, \"sql_ns\": %.0f, \"ratio\": %.2f}\n",
           1 / floor, floor * 1e9, 1 / sql, sql * 1e9, sql / floor);
    free(m);
    return 0;
}
