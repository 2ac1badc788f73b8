/* What an uploaded body is taken for, and who wins when URL, content type, file name and bytes disagree. */
#include "api/persql/import_format.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MAGIC "SQLite format 3\0and so on"

static const struct str none = {NULL, 0};

static enum err_code read_as(struct str type, struct str format, struct str body, struct import_upload *ret)
{
    struct err err = ERR_INIT;
    return import_read(type, format, body, ret, &err);
}

void test_import_format__content_types(void **state)
{
    static const struct {
        const char *type;
        enum import_format format;
    } rows[] = {
        {"application/sql", IMPORT_SQL},
        {"Application/SQL; charset=utf-8", IMPORT_SQL},
        {"text/csv;header=present", IMPORT_CSV},
        {"application/x-ndjson", IMPORT_NDJSON},
        {"application/ndjson", IMPORT_NDJSON},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct import_upload u;
        assert_int_equal(read_as(str_of(rows[i].type), none, S("x"), &u), ERR_OK);
        assert_int_equal(u.format, rows[i].format);
        assert_int_equal(u.bytes.len, 1);
    }
}

void test_import_format__the_url_wins_and_bytes_come_last(void **state)
{
    struct import_upload u;
    (void)state;
    assert_int_equal(read_as(S("application/sql"), S("csv"), S("x"), &u), ERR_OK);
    assert_int_equal(u.format, IMPORT_CSV);
    assert_int_equal(read_as(none, none, S(MAGIC), &u), ERR_OK);
    assert_int_equal(u.format, IMPORT_SQLITE);
    assert_int_equal(read_as(S("application/octet-stream"), none, S(MAGIC), &u), ERR_OK);
    assert_int_equal(u.format, IMPORT_SQLITE);
}

void test_import_format__a_part_is_known_by_type_or_file_name(void **state)
{
    struct import_upload u;
    struct str type = S("multipart/form-data; boundary=b");
    (void)state;
    struct str named = S("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.ndjson\"\r\n"
                         "Content-Type: application/octet-stream\r\n\r\n{}\r\n--b--");
    assert_int_equal(read_as(type, none, named, &u), ERR_OK);
    assert_int_equal(u.format, IMPORT_NDJSON);
    assert_int_equal(u.bytes.len, 2);
    struct str typed = S("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.sql\"\r\n"
                         "Content-Type: text/csv\r\n\r\na\r\n--b--");
    assert_int_equal(read_as(type, none, typed, &u), ERR_OK);
    assert_int_equal(u.format, IMPORT_CSV);
}

void test_import_format__refusals(void **state)
{
    static const struct {
        const char *type, *format;
        struct str body;
        enum err_code want;
    } rows[] = {
        {NULL, NULL, {"x", 1}, ERR_MEDIA_TYPE},
        {"application/json", NULL, {"{}", 2}, ERR_MEDIA_TYPE},
        {"application/sql", "xml", {"x", 1}, ERR_INVALID},
        {"application/sql", "", {"x", 1}, ERR_INVALID},
        {"application/sql", NULL, {"", 0}, ERR_INVALID},
        {"application/vnd.sqlite3", NULL, {"SQLite format 2", 15}, ERR_INVALID},
        {"application/vnd.sqlite3", NULL, {"SQLite format 3", 15}, ERR_INVALID}, /* the NUL belongs to it */
        {"multipart/form-data", NULL, {"x", 1}, ERR_INVALID},
        {"multipart/mixed; boundary=b", NULL, {"x", 1}, ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct import_upload u;
        struct str type = rows[i].type ? str_of(rows[i].type) : none;
        struct str format = rows[i].format ? str_of(rows[i].format) : none;
        assert_int_equal(read_as(type, format, rows[i].body, &u), rows[i].want);
    }
}
