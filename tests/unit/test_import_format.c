/* What an uploaded file is taken for, and who wins when URL, content type, file name and bytes disagree. */
#include "api/persql/import_format.h"
#include "lib/unit.h"

#define MAGIC "SQLite format 3\0"
#define NONE                                                                                                 \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define LIT(z)                                                                                               \
    {                                                                                                        \
        (z), sizeof(z) - 1                                                                                   \
    }

static const struct row {
    struct import_hints hints; /* URL, content type, file name, first bytes */
    enum err_code want;
    enum import_format format;
} ROWS[] = {
    {{NONE, LIT("application/sql"), NONE, NONE}, ERR_OK, IMPORT_SQL},
    {{NONE, LIT("Application/SQL; charset=utf-8"), NONE, NONE}, ERR_OK, IMPORT_SQL},
    {{NONE, LIT("text/csv;header=present"), NONE, NONE}, ERR_OK, IMPORT_CSV},
    {{NONE, LIT("application/x-ndjson"), NONE, NONE}, ERR_OK, IMPORT_NDJSON},
    {{NONE, LIT("application/ndjson"), NONE, NONE}, ERR_OK, IMPORT_NDJSON},
    {{LIT("csv"), LIT("application/sql"), LIT("a.sql"), LIT(MAGIC)}, ERR_OK, IMPORT_CSV},
    {{NONE, LIT("text/csv"), LIT("a.sql"), LIT(MAGIC)}, ERR_OK, IMPORT_CSV},
    {{NONE, LIT("application/octet-stream"), LIT("a.ndjson"), LIT(MAGIC)}, ERR_OK, IMPORT_NDJSON},
    {{NONE, NONE, LIT("a.db"), NONE}, ERR_OK, IMPORT_SQLITE},
    {{NONE, NONE, NONE, LIT(MAGIC)}, ERR_OK, IMPORT_SQLITE},
    {{NONE, LIT("application/octet-stream"), NONE, LIT(MAGIC "more")}, ERR_OK, IMPORT_SQLITE},
    {{NONE, NONE, NONE, NONE}, ERR_MEDIA_TYPE, 0},
    {{NONE, NONE, NONE, LIT("SELECT 1; -- and more")}, ERR_MEDIA_TYPE, 0},
    {{NONE, LIT("application/json"), LIT("a.json"), LIT("{}")}, ERR_MEDIA_TYPE, 0},
    {{LIT("xml"), LIT("application/sql"), NONE, NONE}, ERR_INVALID, 0},
    {{LIT(""), LIT("application/sql"), NONE, NONE}, ERR_INVALID, 0},
};

void test_import_format__is_found_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct err err = ERR_INIT;
        enum import_format format = IMPORT_FORMAT_COUNT;
        enum err_code rc = import_format_find(&ROWS[i].hints, &format, &err);
        if (rc != ROWS[i].want || (!rc && format != ROWS[i].format))
            fail_msg("row %zu: %s, format %d", i, err_slug(rc), (int)format);
        assert_true(rc == ERR_OK || err.message[0] != 0);
    }
}

void test_import_format__first_bytes_must_fit(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(import_format_check(IMPORT_SQL, S("x"), &err), ERR_OK);
    assert_int_equal(import_format_check(IMPORT_NDJSON, STR_EMPTY, &err), ERR_OK); /* an export of no rows */
    assert_int_equal(import_format_check(IMPORT_SQLITE, S(MAGIC), &err), ERR_OK);
    assert_int_equal(import_format_check(IMPORT_SQL, STR_EMPTY, &err), ERR_INVALID);
    assert_string_equal(err.pointer, "/file");
    assert_int_equal(import_format_check(IMPORT_SQLITE, S("SQLite format 2"), &err), ERR_INVALID);
    assert_int_equal(
        import_format_check(IMPORT_SQLITE, S("SQLite format 3"), &err), ERR_INVALID); /* no NUL */
}
