/* The replaced SQL functions mean what SQLite's own mean, and end where those do not. */
#include "engine/functions.h"
#include "engine/sandbox.h"
#include "base/attr.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static sqlite3 *plain, *ours;

int setup_engine_functions(void **state)
{
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &plain), SQLITE_OK);
    assert_int_equal(sqlite3_open(":memory:", &ours), SQLITE_OK);
    return functions_register(ours);
}

int teardown_engine_functions(void **state)
{
    (void)state;
    return sqlite3_close(plain) || sqlite3_close(ours);
}

static const char *const VALUES[] = {"NULL", "''", "'a'", "'abcabc'", "'bc'", "'héllo wörld'", "'ö'", "'é'",
    "'😀x😀'", "'😀'", "'  padded  '", "' '", "'xyz'", "5", "55.5", "-12345", "x''", "x'616263'", "x'62'",
    "x'ff00ff'", "x'00'", "'4142'", "'41 42-43'", "' -'", "'4'", "'zz'", "'aaaa'", "'aa'"};

static const char *const FORMS[] = {"instr(%s, %s)", "replace(%s, %s, 'Z')", "replace('abc bc ö', %s, %s)",
    "trim(%s, %s)", "ltrim(%s, %s)", "rtrim(%s, %s)", "unhex(%s, %s)", "trim(%s) || typeof(%s)",
    "ltrim(%s) || typeof(%s)", "rtrim(%s) || typeof(%s)"};

/* quote() of the result, with its type. */
static void evaluate(sqlite3 *db, const char *expression, char *out, size_t size)
{
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT quote(v) || ' ' || typeof(v) FROM (SELECT %s AS v)", expression);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    int rc = sqlite3_step(stmt);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : "error";
    (void)snprintf(out, size, "%s", text ? text : "null");
    (void)sqlite3_finalize(stmt);
    sqlite3_free(sql);
}

void test_engine_functions__mean_what_sqlites_mean(void **state)
{
    char expression[200], theirs[300], mine[300];
    size_t compared = 0;
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(FORMS); f++) {
        for (size_t i = 0; i < ARRAY_LEN(VALUES) * ARRAY_LEN(VALUES); i++) {
            const char *a = VALUES[i / ARRAY_LEN(VALUES)], *b = VALUES[i % ARRAY_LEN(VALUES)];
            sqlite3_snprintf(sizeof expression, expression, FORMS[f], a, b);
            evaluate(plain, expression, theirs, sizeof theirs);
            evaluate(ours, expression, mine, sizeof mine);
            if (strcmp(theirs, mine) != 0)
                fail_msg("%s is %s, but %s here", expression, theirs, mine);
            compared++;
        }
    }
    assert_true(compared > 5000);
}

/* json_patch keeps its meaning, its subtype and its errors; what would take minutes is refused at once. */
void test_engine_functions__json_patch(void **state)
{
    static const char *const SAME[] = {"json_patch('{\"a\":1,\"b\":2}', '{\"b\":null,\"c\":[3]}')",
        "json_array(json_patch('{}', '{\"a\":1}'))", "json_patch(NULL, '{}')", "json_patch('{}', NULL)",
        "json_patch('{', '{}')", "json_patch('[1]', '{\"a\":{}}')",
        "json(jsonb_patch('{\"a\":1}', '{\"a\":2}'))", "jsonb_patch('{}', NULL)",
        "json_patch(jsonb('{\"x\":1}'), '{\"x\":5}')"};
    char theirs[300], mine[300];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SAME); i++) {
        evaluate(plain, SAME[i], theirs, sizeof theirs);
        evaluate(ours, SAME[i], mine, sizeof mine);
        assert_string_equal(theirs, mine);
    }
    int64_t begin = clock_mono_us();
    evaluate(ours, "json_patch(hex(zeroblob(100000)), hex(zeroblob(100000)))", mine, sizeof mine);
    assert_string_equal(mine, "error");
    assert_true(clock_mono_us() - begin < 2000000);
}

/* Each of these takes SQLite's own form seconds to hours. */
void test_engine_functions__end_in_time(void **state)
{
    static const char *const SLOW[] = {
        "instr(replace(hex(zeroblob(1000000)), '0', 'a'), replace(hex(zeroblob(500000)), '0', 'a') || 'b')",
        ("length(replace(replace(hex(zeroblob(1000000)), '0', 'a'),"
         " replace(hex(zeroblob(500000)), '0', 'a') || 'b', ''))"),
        "length(trim(hex(zeroblob(1000000)), replace(hex(zeroblob(500000)), '0', 'b') || '0'))",
        "length(unhex(hex(zeroblob(1000000)), replace(hex(zeroblob(500000)), '0', '-')))",
    };
    const int64_t limit_us = 30000000; /* far from what these take and from what they took */
    char out[64];
    (void)state;
    /* Sanitizers look at all of the text in each memmem(): minutes, which say nothing of the real one. */
    for (size_t i = 0; !SANDBOX_RELAXED && i < ARRAY_LEN(SLOW); i++) {
        int64_t begin = clock_mono_us();
        evaluate(ours, SLOW[i], out, sizeof out);
        if (clock_mono_us() - begin > limit_us)
            fail_msg("%s took %d ms", SLOW[i], (int)((clock_mono_us() - begin) / 1000));
    }
    evaluate(ours, "trim('x', replace(hex(zeroblob(200)), '0', 'é'))", out, sizeof out);
    assert_string_equal(out, "error"); /* a set of more than a hundred wide characters */
}
