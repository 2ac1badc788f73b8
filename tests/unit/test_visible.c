/* Text of strangers, made visible; JSON written again. */
#include "base/visible.h"
#include "json/rewrite.h"
#include "lib/unit.h"

void test_visible__what_hides_is_spelled_out(void **state)
{
    static const struct {
        const char *text, *shown;
    } ROWS[] = {
        {"", ""},
        {"UPDATE t\n\tSET a = 'gr\xc3\xbc\xc3\x9f'", "UPDATE t\n\tSET a = 'gr\xc3\xbc\xc3\x9f'"},
        {"a\xe2\x80\xae"
         "b",
            "a\\u{202E}b"},
        {"\x1b[2Jx\x7f\r", "\\u{1B}[2Jx\\u{7F}\\u{D}"},
        {"\xc2\x85\xc2\xad\xd8\x9c", "\\u{85}\\u{AD}\\u{61C}"},
        {"\xe2\x81\xa6\xe2\x81\xa9\xef\xbb\xbf", "\\u{2066}\\u{2069}\\u{FEFF}"},
        {"\xf3\xa0\x81\xa1!", "\\u{E0061}!"},
        {"\xff\xc0", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF out;
        strbuf_init(&out, 200);
        strbuf_add_visible(&out, str_of(ROWS[i].text));
        assert_string_equal(strbuf_cstr(&out), ROWS[i].shown);
        assert_int_equal(visible_as_it_is(str_of(ROWS[i].text)), strcmp(ROWS[i].text, ROWS[i].shown) == 0);
    }
}

void test_visible__spaces_say_nothing(void **state)
{
    static const char *const NOTHING[] = {
        "", " ", "\t\n ", "\xe2\x80\x8b", "\xc2\xa0\xe3\x80\x80", "\xef\xbb\xbf \xe2\xa0\x80", "\xff"};
    static const char *const SOMETHING[] = {"x", " x", "\xe2\x80\x8b.", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(NOTHING); i++)
        assert_false(visible_at_all(str_of(NOTHING[i])));
    for (size_t i = 0; i < ARRAY_LEN(SOMETHING); i++)
        assert_true(visible_at_all(str_of(SOMETHING[i])));
}

static void rewritten(const char *json, void (*text)(struct strbuf *, struct str), const char *wanted)
{
    AUTO_ARENA a;
    AUTO_STRBUF out;
    struct jsonw w;
    const struct jsonr_value *root;
    arena_init(&a, 1 << 20);
    strbuf_init(&out, 1000);
    jsonw_init(&w, &out);
    assert_int_equal(jsonr_parse(&a, str_of(json), &root, NULL), ERR_OK);
    jsonw_value(&w, root, text);
    assert_true(jsonw_done(&w));
    assert_string_equal(strbuf_cstr(&out), wanted);
}

void test_visible__json_is_written_again(void **state)
{
    static const char *const ROWS[] = {"null", "[]", "{}", "[[],{},[{}]]",
        "{\"a\":[1,-9223372036854775808,true],\"b\":{\"c\":null}}", "[1.5,\"x\",[\"y\",{\"z\":false}],2]",
        "\"\\u202e\""};
    (void)state;
    for (size_t i = 0; i + 1 < ARRAY_LEN(ROWS); i++)
        rewritten(ROWS[i], NULL, ROWS[i]);
    rewritten(
        "{\"\\u202ek\":[\"\\u202ev\",1]}", strbuf_add_visible, "{\"\\\\u{202E}k\":[\"\\\\u{202E}v\",1]}");
}
