/* The JSON writer: exact numbers, escapes, structure that cannot go wrong unnoticed. */
#include "base/arena.h"
#include "json/jsonr.h"
#include "json/jsonw.h"
#include "lib/unit.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>

void test_jsonw__writes_nested_values(void **state)
{
    AUTO_STRBUF out;
    struct jsonw w;
    (void)state;
    strbuf_init(&out, 1000);
    jsonw_init(&w, &out);
    assert_false(jsonw_done(&w));
    jsonw_object(&w);
    JSONW_TEXT(&w, "text", S("a\"b"));
    JSONW_CSTR(&w, "none", NULL);
    JSONW_INT(&w, "int", -5);
    jsonw_key(&w, "list");
    jsonw_array(&w);
    jsonw_bool(&w, true);
    jsonw_bool(&w, false);
    jsonw_null(&w);
    jsonw_array(&w);
    jsonw_array_end(&w);
    jsonw_object(&w);
    jsonw_object_end(&w);
    jsonw_blob(&w, str_make("\0\xff", 2));
    jsonw_raw(&w, S("{\"raw\":1}"));
    jsonw_array_end(&w);
    jsonw_key_str(&w, S("k\n"));
    jsonw_real(&w, 0.5);
    assert_false(jsonw_done(&w));
    jsonw_object_end(&w);
    assert_true(jsonw_done(&w));
    expect_str(strbuf_str(&out),
        "{\"text\":\"a\\\"b\",\"none\":null,\"int\":-5,\"list\":[true,false,null,[],{},"
        "{\"$blob\":\"AP8=\"},{\"raw\":1}],\"k\\n\":0.5}");
}

static void expect_text(struct str text, const char *want)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, 1000);
    jsonw_init(&w, &out);
    jsonw_text(&w, text);
    expect_str(strbuf_str(&out), want);
}

void test_jsonw__escapes_text(void **state)
{
    static const struct {
        const char *text, *want;
    } ROWS[] = {
        {"", "\"\""},
        {"plain text of more than eight bytes", "\"plain text of more than eight bytes\""},
        {"\"\\/\b\f\n\r\t", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"12345678\"", "\"12345678\\\"\""},
        {"1234567\n9", "\"1234567\\n9\""},
        {"é€😀", "\"é€😀\""},
        {"a\xff"
         "b",
            "\"a\xef\xbf\xbd"
            "b\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_text(str_of(ROWS[i].text), ROWS[i].want);
    expect_text(str_make("a\0b", 3), "\"a\\u0000b\"");
}

/* Every byte at every place of a word: the eight-at-a-time test must see them all. */
void test_jsonw__escapes_at_every_offset(void **state)
{
    (void)state;
    for (int c = 0; c < 128; c++) {
        for (size_t at = 0; at < 16; at++) {
            AUTO_STRBUF out;
            AUTO_ARENA a;
            struct jsonw w;
            const struct jsonr_value *v;
            char text[16];
            memset(text, 'x', sizeof text);
            text[at] = (char)c;
            strbuf_init(&out, 100);
            arena_init(&a, 4096);
            jsonw_init(&w, &out);
            jsonw_text(&w, str_make(text, sizeof text));
            assert_true((c < 0x20 || c == '"' || c == '\\') == (out.len > sizeof text + 2));
            if (c == 0)
                continue; /* written, but the reader refuses it */
            assert_int_equal(jsonr_parse(&a, strbuf_str(&out), &v, NULL), ERR_OK);
            assert_true(str_eq(jsonr_text(v), str_make(text, sizeof text)));
        }
    }
}

static void real_text(struct strbuf *out, double v)
{
    struct jsonw w;
    strbuf_reset(out);
    jsonw_init(&w, out);
    jsonw_real(&w, v);
}

void test_jsonw__writes_reals_shortest(void **state)
{
    static const struct {
        double v;
        const char *want;
    } ROWS[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {-0.05, "-0.05"},
        {1234.5678, "1234.5678"},
        {0.000001, "0.000001"},
        {0.0000001, "1e-07"},
        {100.000001, "100.000001"},
        {999999999999999.0, "999999999999999.0"},
        {1e15, "1e+15"},
        {1e22, "1e+22"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {9007199254740993.0, "9007199254740992.0"},
        {1.0 / 3, "0.3333333333333333"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {-DBL_MAX, "-1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
        {NAN, "null"},
    };
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        real_text(&out, ROWS[i].v);
        expect_str(strbuf_str(&out), ROWS[i].want);
    }
}

void test_jsonw__reals_read_back_the_same(void **state)
{
    AUTO_STRBUF out;
    uint64_t seed = 42;
    (void)state;
    strbuf_init(&out, 100);
    for (int i = 0; i < 200000; i++) {
        double v;
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = seed ^ seed >> 29;
        if (i % 2)
            v = (double)(int64_t)(bits >> 20) / 1e4; /* money-like */
        else
            memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        real_text(&out, v);
        if (strtod(strbuf_cstr(&out), NULL) != v)
            fail_msg("%a was written as %s", v, strbuf_cstr(&out));
        assert_non_null(strpbrk(strbuf_cstr(&out), ".e"));
    }
}

void test_jsonw__integers_read_back_the_same(void **state)
{
    static const int64_t ROWS[] = {
        0, 1, -1, INT64_MAX, INT64_MIN, 9007199254740993, -9007199254740993, 1000000000000000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF out;
        AUTO_ARENA a;
        struct jsonw w;
        const struct jsonr_value *v;
        strbuf_init(&out, 100);
        arena_init(&a, 4096);
        jsonw_init(&w, &out);
        jsonw_int(&w, ROWS[i]);
        assert_int_equal(jsonr_parse(&a, strbuf_str(&out), &v, NULL), ERR_OK);
        assert_true(jsonr_int(v) == ROWS[i]);
    }
}

void test_jsonw__stops_at_the_limit(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 60; limit++) {
        AUTO_STRBUF out;
        struct jsonw w;
        strbuf_init(&out, limit);
        jsonw_init(&w, &out);
        jsonw_object(&w);
        JSONW_TEXT(&w, "a", S("text\n\xff"));
        jsonw_key(&w, "b");
        jsonw_blob(&w, S("blob"));
        JSONW_INT(&w, "c", 1);
        jsonw_object_end(&w);
        assert_true(jsonw_done(&w));
        assert_true(out.len <= limit);
        assert_true(
            strbuf_failed(&out) == (limit < strlen("{'a':'text\\nxxx','b':{'$blob':'YmxvYg=='},'c':1}")));
    }
}

struct misuse {
    const char *expr;
    void (*fn)(struct jsonw *w);
};

static void value_without_key(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_int(w, 1);
}

static void key_in_array(struct jsonw *w)
{
    jsonw_array(w);
    jsonw_key(w, "k");
}

static void two_keys(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_key(w, "k");
    jsonw_key(w, "l");
}

static void wrong_end(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_array_end(w);
}

static void end_after_key(struct jsonw *w)
{
    jsonw_object(w);
    jsonw_key(w, "k");
    jsonw_object_end(w);
}

static void end_at_the_top(struct jsonw *w)
{
    jsonw_object_end(w);
}

static void second_value(struct jsonw *w)
{
    jsonw_null(w);
    jsonw_null(w);
}

static void too_deep(struct jsonw *w)
{
    for (int i = 0; i < JSONW_DEPTH_MAX; i++)
        jsonw_array(w);
}

#ifdef HF_DEBUG
static void key_twice(struct jsonw *w)
{
    jsonw_object(w);
    JSONW_NULL(w, "k");
    jsonw_key(w, "inner");
    jsonw_object(w);
    JSONW_NULL(w, "k");
    jsonw_object_end(w);
    JSONW_NULL(w, "k");
}
#endif

static void misuse_run(void *arg)
{
    const struct misuse *m = arg;
    struct strbuf out;
    struct jsonw w;
    strbuf_init(&out, 1000);
    jsonw_init(&w, &out);
    m->fn(&w);
}

void test_jsonw__asserts_structure(void **state)
{
    struct misuse rows[] = {
        {"have_key", value_without_key},
        {"IN_OBJECT", key_in_array},
        {"have_key", two_keys},
        {"state", wrong_end},
        {"have_key", end_after_key},
        {"depth > 0", end_at_the_top},
        {"IN_ARRAY", second_value},
        {"JSONW_DEPTH_MAX", too_deep},
#ifdef HF_DEBUG
        {"strcmp", key_twice},
#endif
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_panic(misuse_run, &rows[i], rows[i].expr);
}
