#include "aws/error.h"

#include "base/json.h"
#include "base/writer.h"

/* JSON services name the error in `__type` or the x-amzn-ErrorType header, older ones in `code`; XML ones in <Code>,
 * however deep. Nothing here builds a tree of the XML: the two texts are enough. */

static const struct {
    Str name;
    char c;
} ENTITIES[] = { { STR_INIT("&lt;"), '<' },
                 { STR_INIT("&gt;"), '>' },
                 { STR_INIT("&amp;"), '&' },
                 { STR_INIT("&quot;"), '"' },
                 { STR_INIT("&apos;"), '\'' } };

static Str decode_entities(Str s, Arena *arena) {
    if (str_find(s, '&') == SIZE_MAX) return s;
    Writer w = writer_in(arena);
    while (s.len) {
        size_t n = 1;
        char c = (char)s.ptr[0];
        for (size_t i = 0; i < sizeof ENTITIES / sizeof *ENTITIES; i++)
            if (str_starts(s, ENTITIES[i].name)) {
                c = ENTITIES[i].c;
                n = ENTITIES[i].name.len;
            }
        writer_u8(&w, (uint8_t)c);
        s = str_from(s, n);
    }
    return writer_str(&w);
}

Str aws_xml_text(Str xml, Str name, Arena *arena) {
    Str open = str_format(arena, "<%.*s>", PS(name)), close = str_format(arena, "</%.*s>", PS(name));
    size_t from = str_find_str(xml, open);
    if (from == SIZE_MAX) return STR_NONE;
    Str rest = str_from(xml, from + open.len);
    size_t to = str_find_str(rest, close);
    return to == SIZE_MAX ? STR_NONE : decode_entities(str_sub(rest, 0, to), arena);
}

/* "com.amazonaws.sqs#QueueDoesNotExist:http://…" is QueueDoesNotExist. */
static Str bare(Str code) {
    size_t hash = str_find(code, '#');
    if (hash != SIZE_MAX) code = str_from(code, hash + 1);
    size_t colon = str_find(code, ':');
    return colon == SIZE_MAX ? code : str_sub(code, 0, colon);
}

static Str first(yyjson_val *o, const Str *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        Str s = json_str(json_get(o, names[i]));
        if (s.ptr) return s;
    }
    return STR_NONE;
}

AwsError aws_error_read(const HttpHeader *headers, size_t headers_n, Str body, Arena *arena) {
    static const Str CODES[] = { STR_INIT("__type"), STR_INIT("code"), STR_INIT("Code") };
    static const Str MESSAGES[] = { STR_INIT("message"), STR_INIT("Message"), STR_INIT("errorMessage") };
    AwsError e = { .code = http_header(headers, headers_n, S("x-amzn-ErrorType")) };
    Str text = str_trim(body);
    yyjson_val *o;
    if (str_starts(text, S("{")) && json_read(arena, text, false, &o, NULL) == OK) {
        if (!e.code.ptr) e.code = first(o, CODES, 3);
        e.message = first(o, MESSAGES, 3);
    } else if (str_starts(text, S("<"))) {
        if (!e.code.ptr) e.code = aws_xml_text(text, S("Code"), arena);
        e.message = aws_xml_text(text, S("Message"), arena);
    }
    e.code = bare(e.code);
    return e;
}

AwsRetry aws_error_retry(int status, Str code) {
    static const Str SLOWER[] = { STR_INIT("Throttling"),
                                  STR_INIT("ThrottlingException"),
                                  STR_INIT("ThrottledException"),
                                  STR_INIT("RequestThrottledException"),
                                  STR_INIT("RequestThrottled"),
                                  STR_INIT("TooManyRequestsException"),
                                  STR_INIT("ProvisionedThroughputExceededException"),
                                  STR_INIT("TransactionInProgressException"),
                                  STR_INIT("RequestLimitExceeded"),
                                  STR_INIT("BandwidthLimitExceeded"),
                                  STR_INIT("LimitExceededException"),
                                  STR_INIT("SlowDown"),
                                  STR_INIT("PriorRequestNotComplete"),
                                  STR_INIT("EC2ThrottledException"),
                                  STR_INIT("ThrottledWrite") };
    static const Str AGAIN[] = { STR_INIT("RequestTimeout"), STR_INIT("RequestTimeoutException"),
                                 STR_INIT("InternalFailure"), STR_INIT("ServiceUnavailable") };
    for (size_t i = 0; i < sizeof SLOWER / sizeof *SLOWER; i++)
        if (str_eq(code, SLOWER[i])) return AWS_SLOWER;
    for (size_t i = 0; i < sizeof AGAIN / sizeof *AGAIN; i++)
        if (str_eq(code, AGAIN[i])) return AWS_AGAIN;
    return status == 429 ? AWS_SLOWER : status >= 500 ? AWS_AGAIN : AWS_NEVER;
}
