#include "net/http.h"

typedef struct {
    int status;
    Str phrase;
} Row;

/* Source: RFC 9110 section 15, RFC 6585, RFC 7725 */
static const Row rows[] = {
    { 100, STR_INIT("Continue") },
    { 101, STR_INIT("Switching Protocols") },
    { 200, STR_INIT("OK") },
    { 201, STR_INIT("Created") },
    { 202, STR_INIT("Accepted") },
    { 204, STR_INIT("No Content") },
    { 206, STR_INIT("Partial Content") },
    { 301, STR_INIT("Moved Permanently") },
    { 302, STR_INIT("Found") },
    { 303, STR_INIT("See Other") },
    { 304, STR_INIT("Not Modified") },
    { 307, STR_INIT("Temporary Redirect") },
    { 308, STR_INIT("Permanent Redirect") },
    { 400, STR_INIT("Bad Request") },
    { 401, STR_INIT("Unauthorized") },
    { 403, STR_INIT("Forbidden") },
    { 404, STR_INIT("Not Found") },
    { 405, STR_INIT("Method Not Allowed") },
    { 406, STR_INIT("Not Acceptable") },
    { 408, STR_INIT("Request Timeout") },
    { 409, STR_INIT("Conflict") },
    { 410, STR_INIT("Gone") },
    { 411, STR_INIT("Length Required") },
    { 412, STR_INIT("Precondition Failed") },
    { 413, STR_INIT("Content Too Large") },
    { 414, STR_INIT("URI Too Long") },
    { 415, STR_INIT("Unsupported Media Type") },
    { 416, STR_INIT("Range Not Satisfiable") },
    { 417, STR_INIT("Expectation Failed") },
    { 422, STR_INIT("Unprocessable Content") },
    { 424, STR_INIT("Failed Dependency") },
    { 426, STR_INIT("Upgrade Required") },
    { 428, STR_INIT("Precondition Required") },
    { 429, STR_INIT("Too Many Requests") },
    { 431, STR_INIT("Request Header Fields Too Large") },
    { 451, STR_INIT("Unavailable For Legal Reasons") },
    { 500, STR_INIT("Internal Server Error") },
    { 501, STR_INIT("Not Implemented") },
    { 502, STR_INIT("Bad Gateway") },
    { 503, STR_INIT("Service Unavailable") },
    { 504, STR_INIT("Gateway Timeout") },
    { 505, STR_INIT("HTTP Version Not Supported") },
};

Str http_reason_phrase(int status) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status) return rows[i].phrase;
    return S("Unknown");
}

/* A line break in a header would begin another one, or a body, of somebody else's choice. */
static bool is_one_line(Str s) {
    return str_find(s, '\r') == SIZE_MAX && str_find(s, '\n') == SIZE_MAX && str_find(s, '\0') == SIZE_MAX;
}

static void write_header(Writer *w, Str name, Str value) {
    if (name.len == 0 || !is_one_line(name) || !is_one_line(value)) return;
    writer_bytes(w, name);
    writer_bytes(w, S(": "));
    writer_bytes(w, value);
    writer_bytes(w, S("\r\n"));
}

void http_write_response(Writer *w, int status, const HttpHeader *headers, size_t n, Str body, bool keep_alive,
                         bool head) {
    bool bodiless = status < 200 || status == 204 || status == 304; /* RFC 9110 section 6.4.1 */
    writer_format(w, "HTTP/1.1 %d %.*s\r\n", status, PS(http_reason_phrase(status)));
    for (size_t i = 0; i < n; i++) write_header(w, headers[i].name, headers[i].value);
    if (!bodiless) writer_format(w, "Content-Length: %zu\r\n", body.len);
    write_header(w, S("Connection"), keep_alive ? S("keep-alive") : S("close"));
    writer_bytes(w, S("\r\n"));
    if (!bodiless && !head) writer_bytes(w, body);
}
