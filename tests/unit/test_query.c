/* The query string: what it decodes to, and that every refusal names the parameter. */
#include "http/query.h"
#include "base/strbuf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct row {
    const char *raw;
    const char *want; /* "name=value" joined by '|', or the message of the error */
    enum err_code code;
};

static const struct row ROWS[] = {
    {"", "", ERR_OK},
    {"a=b", "a=b", ERR_OK},
    {"a=b&c=d", "a=b|c=d", ERR_OK},
    {"a", "a=", ERR_OK},
    {"a=", "a=", ERR_OK},
    {"a=b=c", "a=b=c", ERR_OK},
    {"&&a=b&&", "a=b", ERR_OK},
    {"a=%20+x", "a=  x", ERR_OK},
    {"%61%3d=%26", "a==&", ERR_OK},
    {"a=%C3%A9", "a=\xc3\xa9", ERR_OK},
    {"a=1&A=2", "a=1|A=2", ERR_OK},
    {"a=b&a=c", "query parameter \"a\" is given twice", ERR_INVALID},
    {"a=b&%61=c", "query parameter \"a\" is given twice", ERR_INVALID},
    {"a=%", "query parameter \"a\" is not percent-encoded UTF-8", ERR_INVALID},
    {"a=%4", "query parameter \"a\" is not percent-encoded UTF-8", ERR_INVALID},
    {"a=%00", "query parameter \"a\" is not percent-encoded UTF-8", ERR_INVALID},
    {"a=%ff", "query parameter \"a\" is not percent-encoded UTF-8", ERR_INVALID},
    {"a=\xc3\xa9", "a=\xc3\xa9", ERR_OK},
    {"a=\xff", "query parameter \"a\" is not percent-encoded UTF-8", ERR_INVALID},
    {"a=+\xff", "query parameter \"a\" is not percent-encoded UTF-8", ERR_INVALID},
    {"\xff=1", "the name of a query parameter is not percent-encoded UTF-8", ERR_INVALID},
    {"%zz=1", "query parameter \"%zz\" is not percent-encoded UTF-8", ERR_INVALID},
    {"=b", "the query string has a parameter without a name", ERR_INVALID},
    {"a=1&=", "the query string has a parameter without a name", ERR_INVALID},
};

void test_query__decodes_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA arena;
        AUTO_STRBUF got;
        struct query q;
        struct err err = ERR_INIT;
        arena_init(&arena, 4096);
        strbuf_init(&got, 4096);
        assert_int_equal(query_parse(str_of(ROWS[i].raw), &arena, &q, &err), ROWS[i].code);
        for (unsigned p = 0; ROWS[i].code == ERR_OK && p < q.count; p++)
            strbuf_addf(&got, "%s" STR_FMT "=" STR_FMT, p ? "|" : "", STR_ARG(q.items[p].name),
                STR_ARG(q.items[p].value));
        assert_string_equal(ROWS[i].code == ERR_OK ? strbuf_cstr(&got) : err.message, ROWS[i].want);
    }
}

void test_query__a_nul_is_no_text(void **state)
{
    static const struct str RAW[] = {{"a=b\0c", 5}, {"a\0b=c", 5}, {"a=+\0", 4}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(RAW); i++) {
        AUTO_ARENA arena;
        struct query q;
        arena_init(&arena, 4096);
        assert_int_equal(query_parse(RAW[i], &arena, &q, NULL), ERR_INVALID);
    }
}

void test_query__thirty_two_are_enough(void **state)
{
    (void)state;
    AUTO_STRBUF raw;
    struct query q;
    struct err err = ERR_INIT;
    strbuf_init(&raw, 4096);
    for (int i = 0; i < QUERY_PARAMS_MAX; i++)
        strbuf_addf(&raw, "p%d=%d&", i, i);
    assert_int_equal(query_parse(strbuf_str(&raw), NULL, &q, &err), ERR_OK);
    assert_int_equal(q.count, QUERY_PARAMS_MAX);
    strbuf_add_cstr(&raw, "more=1");
    assert_int_equal(query_parse(strbuf_str(&raw), NULL, &q, &err), ERR_INVALID);
    assert_string_equal(err.message, "the query string has more than 32 parameters");
}

void test_query__numbers_are_checked_and_named(void **state)
{
    (void)state;
    struct query q;
    struct err err = ERR_INIT;
    int64_t n = 0;
    assert_int_equal(query_parse(S("page=7&size=x&big=101"), NULL, &q, NULL), ERR_OK);
    assert_int_equal(query_i64(&q, "page", 1, 1, 100, &n, &err), ERR_OK);
    assert_int_equal(n, 7);
    assert_int_equal(query_i64(&q, "absent", 25, 1, 100, &n, &err), ERR_OK);
    assert_int_equal(n, 25);
    assert_int_equal(query_i64(&q, "big", 1, 1, 100, &n, &err), ERR_INVALID);
    assert_int_equal(query_i64(&q, "size", 1, 1, 100, &n, &err), ERR_INVALID);
    assert_string_equal(err.message, "/size: must be a whole number from 1 to 100");
    assert_null(query_get(&q, "absent").ptr);
    assert_int_equal(query_get(&q, "size").len, 1);
}
