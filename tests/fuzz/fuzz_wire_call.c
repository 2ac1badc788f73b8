/* Frames as an engine reads them: any bytes. Whatever is accepted must be written back byte for byte. */
#include "base/check.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_call(struct str frame, const struct wire_header *h)
{
    AUTO_ARENA a;
    AUTO_STRBUF out;
    struct wire_call call;
    struct err err = ERR_INIT;
    arena_init(&a, 1 << 20);
    strbuf_init(&out, WIRE_FRAME_MAX);
    if (wire_get_call(str_slice(frame, WIRE_HEADER_SIZE, frame.len), &a, &call, &err) == ERR_OK) {
        wire_put_call(&out, h->call_id, &call);
        CHECK(str_eq(strbuf_str(&out), frame));
        CHECK(wire_op_lane(call.op) <= WIRE_LANE_SCRATCH);
    } else {
        CHECK(err.code == ERR_INVALID);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make(data, size);
    struct wire_header h;
    size_t frame;
    while (wire_peek(rest, &h, &frame, NULL) == ERR_OK && frame > 0) {
        CHECK(frame <= rest.len);
        if (h.type == WIRE_CALL)
            try_call(str_slice(rest, 0, frame), &h);
        rest = str_slice(rest, frame, rest.len);
    }
    return 0;
}
