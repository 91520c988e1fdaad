#include "fuzz.h"

#include "base/writer.h"
#include "net/ws.h"

/* Frames give the same stream whether their bytes arrive at once or cut into pieces. */

static Str transcript(Arena *a, Str in, size_t piece) {
    WsDecoder *d = ws_decoder_new(256);
    Writer stream = writer_in(a), controls = writer_in(a);
    Err e = ERR_AGAIN;
    for (size_t at = 0; at < in.len && e == ERR_AGAIN; at += piece) {
        ws_feed(d, str_sub(in, at, at + piece));
        WsEvent ev;
        while ((e = ws_next(d, &ev)) == OK) {
            if (ev.opcode == WS_BINARY) {
                CHECK(ev.data.len > 0);
                writer_bytes(&stream, ev.data);
            } else {
                CHECK(ev.data.len <= 125);
                writer_format(&controls, "|%zu %d %d ", stream.len, ev.opcode, ev.close_code);
                writer_bytes(&controls, ev.data);
            }
        }
    }
    ws_decoder_free(d);
    writer_format(&controls, "|%d", e);
    writer_bytes(&controls, writer_str(&stream));
    return writer_str(&controls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    size_t piece = 1 + fuzz_choice(&in);
    CHECK(str_eq(transcript(&a, in, in.len + 1), transcript(&a, in, piece)));
    arena_free(&a);
    return 0;
}
