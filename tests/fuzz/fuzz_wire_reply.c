/* Frames as the front reads them from an engine that a tenant has taken over: any bytes. Whatever is accepted
 * must be written back byte for byte. */
#include "base/check.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_reply(struct str frame, const struct wire_header *h)
{
    AUTO_STRBUF out;
    struct wire_reply_head head;
    struct str chunk, body = str_slice(frame, WIRE_HEADER_SIZE, frame.len);
    struct err err = ERR_INIT;
    strbuf_init(&out, WIRE_FRAME_MAX);
    if (wire_get_reply(h->flags, body, &head, &chunk, &err) != ERR_OK) {
        CHECK(err.code == ERR_INVALID);
        return;
    }
    if (chunk.len > WIRE_CHUNK_MAX)
        return; /* a later chunk may fill the place of the head: put cuts it in two */
    wire_put_reply(&out, h->call_id, h->flags & WIRE_FIRST ? &head : NULL, chunk, h->flags & WIRE_LAST);
    CHECK(str_eq(strbuf_str(&out), frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make(data, size);
    struct wire_header h;
    size_t frame;
    while (wire_peek(rest, &h, &frame, NULL) == ERR_OK && frame > 0) {
        CHECK(frame <= rest.len);
        if (h.type == WIRE_REPLY)
            try_reply(str_slice(rest, 0, frame), &h);
        rest = str_slice(rest, frame, rest.len);
    }
    return 0;
}
