/* The multipart parser: finds the one file, refuses what two readers could understand differently. */
#include "api/persql/multipart.h"
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

void test_multipart__finds_the_file_among_other_parts(void **state)
{
    struct str body = S("preamble\r\n--b\r\n" DISPOSITION("name=\"note\"") "\r\nhello\r\n--b\r\n" DISPOSITION(
        "name=\"file\"; filename=\"a.csv\"") "content-type:  text/csv "
                                             "\r\n\r\nid\r\n--c\r\n1\r\n--b--\r\nepilogue");
    struct multipart_file file;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(multipart_file(body, S("b"), &file, &err), ERR_OK);
    expect_str(file.bytes, S("id\r\n--c\r\n1"));
    expect_str(file.filename, S("a.csv"));
    expect_str(file.content_type, S("text/csv"));
}

void test_multipart__an_empty_file_and_no_filename_are_fine(void **state)
{
    struct multipart_file file;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(
        multipart_file(S("--b\r\n" DISPOSITION("name=file") "\r\n\r\n--b--"), S("b"), &file, &err), ERR_OK);
    expect_str(file.bytes, STR_EMPTY);
    expect_str(file.filename, STR_EMPTY);
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
        struct multipart_file file = {STR_EMPTY, STR_EMPTY, STR_EMPTY};
        struct err err = ERR_INIT;
        if (multipart_file(str_of(rows[i]), S("b"), &file, &err) != ERR_INVALID)
            fail_msg("row %zu was accepted: %s", i, rows[i]);
        assert_true(err.message[0] != 0);
    }
}
