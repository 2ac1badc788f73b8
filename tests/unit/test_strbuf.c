/* Growing text: the limit, its sticky failure, and every way to append. */
#include "base/mem.h"
#include "lib/unit.h"

void test_strbuf__grows_and_terminates(void **state)
{
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 100000);
    expect_str(str_of(strbuf_cstr(&sb)), "");
    assert_null(sb.buf);
    for (int i = 0; i < 10000; i++) {
        strbuf_add_char(&sb, (char)('a' + i % 26));
        assert_int_equal(sb.buf[sb.len], '\0');
    }
    assert_int_equal(sb.len, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(sb.buf[i], 'a' + i % 26);
    strbuf_add_str(&sb, STR_EMPTY);
    strbuf_add(&sb, NULL, 0);
    assert_int_equal(sb.len, 10000);
}

void test_strbuf__holds_exactly_its_limit(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 200; limit++) {
        AUTO_STRBUF sb;
        strbuf_init(&sb, limit);
        for (size_t i = 0; i < limit; i++)
            strbuf_add_char(&sb, 'x');
        assert_false(strbuf_failed(&sb));
        assert_int_equal(sb.len, limit);
        strbuf_add_char(&sb, 'x');
        assert_true(strbuf_failed(&sb));
        assert_int_equal(sb.len, limit);
    }
}

void test_strbuf__stays_failed_until_reset(void **state)
{
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 10);
    strbuf_add_cstr(&sb, "12345678");
    strbuf_add_cstr(&sb, "9ab"); /* does not fit: nothing of it is added */
    assert_true(strbuf_failed(&sb));
    expect_str(strbuf_str(&sb), "12345678");
    strbuf_add_char(&sb, '9'); /* would fit */
    strbuf_addf(&sb, "%d", 9);
    strbuf_add_i64(&sb, 9);
    assert_null(strbuf_reserve(&sb, 1));
    expect_str(strbuf_str(&sb), "12345678");
    strbuf_truncate(&sb, 2);
    assert_true(strbuf_failed(&sb));
    strbuf_reset(&sb);
    assert_false(strbuf_failed(&sb));
    strbuf_add_cstr(&sb, "ok");
    expect_str(strbuf_str(&sb), "ok");
}

void test_strbuf__refuses_lengths_that_would_overflow(void **state)
{
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 100);
    strbuf_add_cstr(&sb, "abc");
    assert_null(strbuf_reserve(&sb, SIZE_MAX));
    strbuf_reset(&sb);
    assert_null(strbuf_reserve(&sb, SIZE_MAX - 3));
}

void test_strbuf__formats(void **state)
{
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 300);
    strbuf_addf(&sb, "%s-%d", "a", 5);
    strbuf_addf(&sb, "%0200d", 7); /* past the first allocation */
    assert_int_equal(sb.len, 203);
    assert_int_equal(sb.buf[202], '7');
    strbuf_addf(&sb, "%0100d", 7);
    assert_true(strbuf_failed(&sb));
    assert_int_equal(sb.len, 203);
    assert_int_equal(strlen(sb.buf), 203); /* no part of the text that did not fit */
}

/* A formatted text of every length around the room that is left. */
void test_strbuf__formats_at_every_boundary(void **state)
{
    (void)state;
    for (int before = 0; before < 130; before++) {
        for (int len = 0; len < 130; len += 3) {
            AUTO_STRBUF sb;
            strbuf_init(&sb, 200);
            strbuf_addf(&sb, "%*s", before, "");
            strbuf_addf(&sb, "%*s", len, "");
            assert_true(strbuf_failed(&sb) == (before + len > 200));
            if (!strbuf_failed(&sb))
                assert_int_equal(sb.len, before + len);
            assert_int_equal(strlen(strbuf_cstr(&sb)), sb.len);
        }
    }
}

void test_strbuf__writes_integers(void **state)
{
    static const struct {
        int64_t v;
        const char *text;
    } ROWS[] = {{0, "0"}, {-1, "-1"}, {10, "10"}, {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF sb;
        strbuf_init(&sb, 100);
        strbuf_add_i64(&sb, ROWS[i].v);
        expect_str(strbuf_str(&sb), ROWS[i].text);
    }
}

void test_strbuf__quotes(void **state)
{
    static const char *const ROWS[][2] = {
        {"", "''"}, {"a", "'a'"}, {"'", "''''"}, {"it's", "'it''s'"}, {"''x'", "'''''x'''"}, {"\"", "'\"'"}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        AUTO_STRBUF sb;
        strbuf_init(&sb, 100);
        strbuf_add_quoted(&sb, str_of(ROWS[i][0]), '\'');
        assert_string_equal(strbuf_cstr(&sb), ROWS[i][1]);
    }
}

void test_strbuf__reserves_and_commits(void **state)
{
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 8);
    char *p = strbuf_reserve(&sb, 8);
    assert_non_null(p);
    memcpy(p, "abcd", 4);
    strbuf_commit(&sb, 4);
    expect_str(strbuf_str(&sb), "abcd");
    assert_null(strbuf_reserve(&sb, 5));
    assert_true(strbuf_failed(&sb));
}

void test_strbuf__detaches(void **state)
{
    struct strbuf sb;
    size_t len = 99;
    (void)state;
    strbuf_init(&sb, 100);
    char *empty = strbuf_detach(&sb, &len);
    expect_str(str_of(empty), "");
    assert_int_equal(len, 0);
    strbuf_add_cstr(&sb, "text");
    char *text = strbuf_detach(&sb, &len);
    expect_str(str_make(text, len), "text");
    assert_null(sb.buf);
    assert_int_equal(sb.limit, 100);
    mem_free(empty);
    mem_free(text);
}

void test_strbuf__gives_memory_back(void **state)
{
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 100000);
    strbuf_addf(&sb, "%05000d", 1);
    strbuf_shrink(&sb, 10000);
    assert_true(sb.cap > 5000 && sb.len == 0);
    strbuf_shrink(&sb, 1000);
    assert_true(sb.cap == 0 && sb.buf == NULL);
    strbuf_release(&sb);
    strbuf_add_cstr(&sb, "again"); /* the limit stays */
    expect_str(strbuf_str(&sb), "again");
}

static void commit_too_much(void *arg)
{
    struct strbuf *sb = arg;
    (void)strbuf_reserve(sb, 4);
    strbuf_commit(sb, sb->cap);
}

static void truncate_longer(void *arg)
{
    strbuf_truncate(arg, 1);
}

void test_strbuf__asserts_bounds(void **state)
{
    struct strbuf sb;
    (void)state;
    strbuf_init(&sb, 100);
    expect_panic(commit_too_much, &sb, "cap");
    expect_panic(truncate_longer, &sb, "len <= sb->len");
}
