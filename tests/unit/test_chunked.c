/* Chunked bodies: what is decoded, what is refused, and that neither depends on how the bytes were split. */
#include "http/chunked.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "lib/unit.h"

#define R(status_, raw_, text_, rest_)                                                                       \
    {                                                                                                        \
        CHUNKED_##status_, {raw_, sizeof(raw_) - 1}, text_, rest_                                            \
    }

static const struct row {
    enum chunked_status want;
    struct str raw;
    const char *text; /* decoded, up to where it was refused */
    size_t rest;      /* bytes left of DONE */
} ROWS[] = {
    R(DONE, "0\r\n\r\n", "", 0),
    R(DONE, "000\r\n\r\n", "", 0),
    R(DONE, "3\r\nabc\r\n0\r\n\r\n", "abc", 0),
    R(DONE, "3\r\nabc\r\n0\r\n\r\nGET /", "abc", 5),
    R(DONE, "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0),
    R(DONE, "00000000000001\r\nx\r\n2\r\nyz\r\n00\r\n\r\n", "xyz", 0),
    R(DONE, "4\r\n\r\n\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n\r\n", 5),
    R(MORE, "", "", 0),
    R(MORE, "fffffffffffffff", "", 0),
    R(MORE, "5\r\nab", "ab", 0),
    R(MORE, "0\r\n\r", "", 0),
    R(BAD, "\r\n", "", 0),
    R(BAD, "+3\r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "-3\r\n", "", 0),
    R(BAD, " 3\r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "3 \r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "0x3\r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "g\r\n", "", 0),
    R(BAD, "1000000000000000\r\n", "", 0), /* 16 digits */
    R(BAD, "0000000000000000\r\n", "", 0),
    R(BAD, "3\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "3\rabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "3\r\r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "3;a=b\r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, "3;\r\nabc\r\n0\r\n\r\n", "", 0),
    R(BAD, ";\r\n", "", 0),
    R(BAD, "3\r\nabcd\r\n0\r\n\r\n", "abc", 0),
    R(BAD, "3\r\nabc\n0\r\n\r\n", "abc", 0),
    R(BAD, "3\r\nabc\r0\r\n\r\n", "abc", 0),
    R(BAD, "3\r\nabc0\r\n\r\n", "abc", 0),
    R(BAD, "0\r\nX: y\r\n\r\n", "", 0),
    R(BAD, "0\r\n\n", "", 0),
    R(BAD, "0\r\n\rx", "", 0),
    R(BAD, "0\n\r\n", "", 0),
    R(BAD, "3\r\nabc\r\n\0\r\n\r\n", "abc", 0),
    R(BAD, "\xd9\xa3\r\n", "", 0),
};

/* Decodes pieces that end at `first` and then every `step` bytes. Returns the bytes left over. */
static enum chunked_status decode(
    struct str raw, size_t first, size_t step, struct strbuf *text, size_t *ret_rest, struct chunked *k)
{
    enum chunked_status st = CHUNKED_MORE;
    chunked_init(k);
    for (size_t at = 0, len = first; st == CHUNKED_MORE; len = step) {
        struct str piece = str_slice(raw, at, at + len), data;
        at += piece.len;
        char *exact = mem_array(piece.len ? piece.len : 1, 1); /* so that a sanitizer sees a read past it */
        memcpy(exact, piece.ptr, piece.len);
        piece.ptr = exact;
        while ((st = chunked_read(k, &piece, &data)) == CHUNKED_DATA) {
            assert_true(data.len > 0);
            strbuf_add_str(text, data);
        }
        *ret_rest = piece.len + (raw.len - at);
        mem_free(exact);
        if (at == raw.len)
            break;
    }
    return st;
}

static void expect_split(const struct row *row, size_t first, size_t step)
{
    AUTO_STRBUF text;
    struct chunked k;
    size_t rest;
    strbuf_init(&text, 1000);
    enum chunked_status st = decode(row->raw, first, step, &text, &rest, &k);
    if (st != row->want || !str_eq(strbuf_str(&text), str_of(row->text)))
        fail_msg(
            "%s split at %zu: status %d, decoded \"%s\"", row->raw.ptr, first, (int)st, strbuf_cstr(&text));
    if (st == CHUNKED_DONE)
        assert_int_equal(rest, row->rest);
    assert_true(st != CHUNKED_BAD || k.reason);
}

void test_chunked__decodes_and_refuses_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        expect_split(&ROWS[i], ROWS[i].raw.len, 1);
        for (size_t at = 0; at < ROWS[i].raw.len; at++)
            expect_split(&ROWS[i], at, ROWS[i].raw.len);
        expect_split(&ROWS[i], 1, 1);
    }
}

void test_chunked__a_verdict_is_final(void **state)
{
    struct chunked k;
    struct str in = S("0\r\n\r\n3\r\nabc\r\n"), bad = S("x"), good = S("3\r\nabc\r\n"), data;
    (void)state;
    chunked_init(&k);
    assert_int_equal(chunked_read(&k, &in, &data), CHUNKED_DONE);
    assert_int_equal(chunked_read(&k, &in, &data), CHUNKED_DONE);
    assert_int_equal(in.len, 8);
    chunked_init(&k);
    assert_int_equal(chunked_read(&k, &bad, &data), CHUNKED_BAD);
    assert_int_equal(chunked_read(&k, &good, &data), CHUNKED_BAD);
}
