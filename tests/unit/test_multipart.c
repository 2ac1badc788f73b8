/* The multipart parser: finds the one file, refuses what two readers could understand differently. */
#include "api/persql/multipart.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void expect_str(struct str got, struct str want)
{
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.len ? got.ptr : "", want.len ? want.ptr : "", want.len);
}

void test_multipart__boundary_is_read_from_the_content_type(void **state)
{
    static const struct {
        const char *header, *boundary; /* NULL: refused */
    } rows[] = {
        {"multipart/form-data; boundary=abc", "abc"},
        {"Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b'c\"",
            NULL}, /* a space is no boundary character here */
        {"multipart/form-data; boundary=\"a'b(c)+_,-./:=?d\"", "a'b(c)+_,-./:=?d"},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data", NULL},
        {"multipart/mixed; boundary=abc", NULL},
        {"multipart/form-data; boundary=a\"b", NULL},
        {"multipart/form-data; boundary=a\\b", NULL},
        {"multipart/form-data; "
         "boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
            "0123456789012345678901234567890123456789012345678901234567890123456789"},
        {"multipart/form-data; "
         "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
            NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str boundary;
        assert_int_equal(multipart_boundary(str_of(rows[i].header), &boundary), rows[i].boundary != NULL);
        if (rows[i].boundary)
            expect_str(boundary, str_of(rows[i].boundary));
    }
}

#define DISPOSITION(more) "Content-Disposition: form-data; " more "\r\n"

struct seen {
    struct multipart m;
    struct strbuf file;
    struct err err;
};

/* Reads `body` in pieces that end at `first` and then every `step` bytes. */
static enum err_code feed(struct str body, size_t first, size_t step, struct seen *s)
{
    enum err_code rc = ERR_OK;
    *s = (struct seen){.err = ERR_INIT};
    strbuf_init(&s->file, 1 << 20);
    multipart_init(&s->m, S("b"));
    for (size_t at = 0, len = first; !rc && at < body.len; len = step) {
        struct str piece = str_slice(body, at, at + len), bytes;
        at += piece.len;
        char *exact = mem_array(piece.len ? piece.len : 1, 1); /* so that a sanitizer sees a read past it */
        memcpy(exact, piece.ptr, piece.len);
        piece.ptr = exact;
        while (!rc && piece.len > 0) {
            rc = multipart_read(&s->m, &piece, &bytes, &s->err);
            if (!rc)
                strbuf_add_str(&s->file, bytes);
        }
        mem_free(exact);
    }
    return rc ? rc : multipart_end(&s->m, &s->err);
}

static void seen_release(struct seen *s)
{
    strbuf_release(&s->file);
    multipart_release(&s->m);
}

static void expect_file(struct str body, const char *file, const char *filename, const char *content_type)
{
    for (size_t first = 0; first <= body.len; first++) {
        for (size_t step = 1; step <= body.len; step += body.len - 1) {
            struct seen s;
            if (feed(body, first, step, &s) != ERR_OK)
                fail_msg("split at %zu, then every %zu: %s", first, step, s.err.message);
            expect_str(strbuf_str(&s.file), str_of(file));
            assert_string_equal(s.m.filename, filename);
            assert_string_equal(s.m.content_type, content_type);
            seen_release(&s);
        }
    }
}

void test_multipart__finds_the_file_among_other_parts(void **state)
{
    (void)state;
    expect_file(S("preamble\r\n--b\r\n" DISPOSITION("name=\"note\"") "\r\nhello\r\n--b\r\n" DISPOSITION(
                    "name=\"file\"; filename=\"a.csv\"") "content-type:  text/csv "
                                                         "\r\n\r\nid\r\n--c\r\n1\r\n--b--\r\nepilogue"),
        "id\r\n--c\r\n1", "a.csv", "text/csv");
}

void test_multipart__what_begins_like_a_delimiter_is_content(void **state)
{
    (void)state;
    expect_file(S("--b\r\n" DISPOSITION("name=file") "\r\n\r\r\n\r\n-\r\n--\r\n--a\r\r\n--\r\n--b--"),
        "\r\r\n\r\n-\r\n--\r\n--a\r\r\n--", "", "");
    expect_file(S("-\r\n--\r\n-b\r\n--b\r\n" DISPOSITION("name=file") "\r\n--b\r\n--b--"), "--b", "", "");
}

void test_multipart__an_empty_file_and_no_filename_are_fine(void **state)
{
    (void)state;
    expect_file(S("--b\r\n" DISPOSITION("name=file") "\r\n\r\n--b--"), "", "", "");
}

void test_multipart__bytes_are_passed_on_in_long_runs(void **state)
{
    AUTO_STRBUF body;
    struct str rest, bytes;
    struct multipart m;
    unsigned runs = 0;
    (void)state;
    strbuf_init(&body, 1 << 20);
    strbuf_add_cstr(&body, "--b\r\n" DISPOSITION("name=file") "\r\n");
    for (int i = 0; i < 10000; i++)
        strbuf_add_cstr(&body, "1,2,3\r\n");
    strbuf_add_cstr(&body, "\r\n--b--");
    multipart_init(&m, S("b"));
    for (rest = strbuf_str(&body); rest.len > 0; runs += bytes.len > 0)
        assert_int_equal(multipart_read(&m, &rest, &bytes, NULL), ERR_OK);
    assert_int_equal(runs, 1); /* each becomes a write() */
    multipart_release(&m);
}

void test_multipart__a_part_with_an_endless_head_is_refused(void **state)
{
    AUTO_STRBUF body;
    struct seen s;
    (void)state;
    strbuf_init(&body, 1 << 20);
    strbuf_add_cstr(&body, "--b\r\nX: ");
    for (int i = 0; i < 5000; i++)
        strbuf_add_char(&body, 'x');
    assert_int_equal(feed(strbuf_str(&body), body.len, 1, &s), ERR_INVALID);
    assert_true(s.m.head.cap <= 4097);
    seen_release(&s);
}

void test_multipart__refuses_what_is_malformed(void **state)
{
    static const char *const rows[] = {
        "",
        "--b",
        "--b--",                                                    /* no parts at all */
        "--b\r\n",                                                  /* cut in the head */
        "--b\r\n" DISPOSITION("name=\"file\""),                     /* no empty line */
        "--b\r\n" DISPOSITION("name=\"file\"") "\r\nx",             /* no end */
        "--b\r\n" DISPOSITION("name=\"file\"") "\r\nx\r\n--b",      /* cut behind the delimiter */
        "--b\r\n" DISPOSITION("name=\"file\"") "\r\nx\r\n--bx\r\n", /* neither part nor end */
        "--b\n" DISPOSITION("name=\"file\"") "\r\nx\r\n--b--",      /* bare line feed */
        "--b\r\n" DISPOSITION("filename=\"a\"") "\r\nx\r\n--b--",   /* no name */
        "--b\r\nContent-Disposition: attachment; name=\"file\"\r\n\r\nx\r\n--b--", /* another kind */
        "--b\r\n" DISPOSITION("name=\"fi\\\"le\"") "\r\nx\r\n--b--",               /* an escape */
        "--b\r\nno colon\r\n\r\nx\r\n--b--",
        "--b\r\n: no name\r\n\r\nx\r\n--b--",
        "--b\r\n\r\nx\r\n--b--", /* no head */
        "--b\r\n" DISPOSITION("name=\"a\"") DISPOSITION("name=\"file\"") "\r\nx\r\n--b--",
        "--b\r\n" DISPOSITION("name=\"other\"") "\r\nx\r\n--b--", /* not the file */
        "--b\r\n" DISPOSITION("name=\"file\"") "\r\nx\r\n--b\r\n" DISPOSITION(
            "name=\"file\"") "\r\ny\r\n--b--",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str body = str_of(rows[i]);
        for (size_t first = 0; first <= body.len; first++) {
            struct seen s;
            if (feed(body, first, body.len, &s) != ERR_INVALID)
                fail_msg("row %zu, split at %zu, was accepted: %s", i, first, rows[i]);
            assert_true(s.err.message[0] != 0);
            seen_release(&s);
        }
    }
}
