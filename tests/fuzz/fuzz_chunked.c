/* Chunked bodies: the first byte says where the rest is split. The verdict, and what is decoded, must not
 * depend on that, and what is accepted must be what its own sizes say. */
#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "http/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a copy of exact size, so that a sanitizer sees a read past the end. */
static enum chunked_status feed(struct chunked *k, struct str raw, struct strbuf *text, size_t *ret_used)
{
    struct str in = raw, data;
    enum chunked_status st;
    char *exact = mem_array(raw.len ? raw.len : 1, 1);
    memcpy(exact, raw.ptr, raw.len);
    in.ptr = exact;
    while ((st = chunked_read(k, &in, &data)) == CHUNKED_DATA) {
        CHECK(data.len > 0 && data.ptr >= exact && data.ptr + data.len <= exact + raw.len);
        strbuf_add_str(text, data);
    }
    CHECK(st != CHUNKED_MORE || in.len == 0);
    CHECK(st != CHUNKED_BAD || k->reason);
    *ret_used += raw.len - in.len;
    mem_free(exact);
    return st;
}

/* What holds of every accepted body. */
static void check_sizes(struct str raw, struct str text)
{
    CHECK(str_ends(raw, S("\r\n\r\n")));
    CHECK(text.len < raw.len);
    CHECK(memchr(raw.ptr, '0', raw.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str raw = str_make(data + 1, size - 1);
    struct chunked whole, parts;
    size_t used = 0, used2 = 0;
    AUTO_STRBUF one, two;
    strbuf_init(&one, size);
    strbuf_init(&two, size);
    chunked_init(&whole);
    chunked_init(&parts);
    enum chunked_status st = feed(&whole, raw, &one, &used);
    enum chunked_status st2 = feed(&parts, str_slice(raw, 0, data[0]), &two, &used2);
    if (st2 == CHUNKED_MORE)
        st2 = feed(&parts, str_slice(raw, data[0], raw.len), &two, &used2);
    CHECK(st == st2 && used == used2);
    CHECK(str_eq(strbuf_str(&one), strbuf_str(&two)));
    if (st == CHUNKED_DONE)
        check_sizes(str_slice(raw, 0, used), strbuf_str(&one));
    return 0;
}
