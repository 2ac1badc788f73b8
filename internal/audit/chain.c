#include "audit/chain.h"

#include "base/check.h"
#include "base/enc.h"

static void put_be(unsigned char *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

static void add_INT(struct digest_stream *s, int64_t value)
{
    unsigned char bytes[9] = {'i'};

    put_be(bytes + 1, (uint64_t)value, 8);
    digest_stream_add(s, str_make(bytes, sizeof bytes));
}

static void add_TEXT(struct digest_stream *s, struct str text)
{
    unsigned char head[5] = {'t'};

    if (!text.ptr) {
        digest_stream_add(s, S("n"));
        return;
    }
    CHECK(text.len <= UINT32_MAX);
    put_be(head + 1, text.len, 4);
    digest_stream_add(s, str_make(head, sizeof head));
    digest_stream_add(s, text);
}

void audit_hex(const struct digest *d, char out[AUDIT_HEX_SIZE])
{
    AUTO_STRBUF hex;

    strbuf_init(&hex, AUDIT_HEX_SIZE);
    digest_hex(&hex, d);
    memcpy(out, strbuf_cstr(&hex), AUDIT_HEX_SIZE);
}

bool audit_from_hex(struct str hex, struct digest *ret)
{
    size_t len;

    return dec_hex(hex, ret->bytes, DIGEST_BYTES, &len) && len == DIGEST_BYTES;
}

struct digest audit_row_digest(const struct digest *before, const struct audit_row *row)
{
    struct digest_stream s;

    digest_stream_init(&s);
    digest_stream_add(&s, S("holdfast audit row 1\n"));
    digest_stream_add(&s, digest_str(before));
#define COLUMN(member, kind, name) add_##kind(&s, row->member);
    AUDIT_COLUMNS(COLUMN)
#undef COLUMN
    return digest_stream_end(&s);
}

struct digest audit_checkpoint_digest(const struct digest *before, const struct audit_checkpoint *c)
{
    struct digest_stream s;

    digest_stream_init(&s);
    digest_stream_add(&s, S("holdfast audit checkpoint 1\n"));
    digest_stream_add(&s, digest_str(before));
#define COLUMN(member, kind, name) add_##kind(&s, c->member);
    AUDIT_CHECKPOINT_COLUMNS(COLUMN)
#undef COLUMN
    return digest_stream_end(&s);
}
