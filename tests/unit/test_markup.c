/* HTML that nothing breaks out of. */
#include "api/markup.h"
#include "lib/unit.h"

void test_markup__what_comes_from_others_is_text(void **state)
{
    static const struct {
        struct str text;
        const char *html;
    } ROWS[] = {{{"plain", 5}, "plain"}, {{"<script>", 8}, "&lt;script&gt;"}, {{"a&b", 3}, "a&amp;b"},
        {{"\"'`", 3}, "&quot;&#39;&#96;"}, {{"&lt;", 4}, "&amp;lt;"},
        {{"\xc3\xa4\xf0\x9f\x98\x80", 6}, "\xc3\xa4\xf0\x9f\x98\x80"},
        {{"a\0b", 3}, "a\xef\xbf\xbd"
                      "b"},
        {{"\xff<", 2}, "\xef\xbf\xbd&lt;"}, {{"\xc3", 1}, "\xef\xbf\xbd"},
        {{"\xe2\x3c\x61", 3}, "\xef\xbf\xbd&lt;a"}, {{"", 0}, ""}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF out;
        strbuf_init(&out, 1000);
        markup_text(&out, ROWS[i].text);
        expect_str(strbuf_str(&out), ROWS[i].html);
    }
}

/* Every byte, between two letters, as text and as a value: none of them ends what it stands in. */
void test_markup__no_byte_ends_an_attribute(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        AUTO_STRBUF out;
        const char text[] = {'a', (char)c, 'b'};
        strbuf_init(&out, 1000);
        markup_attr(&out, "value", str_make(text, 3));
        struct str all = strbuf_str(&out);
        assert_true(str_starts(all, S(" value=\"a")) && str_ends(all, S("b\"")));
        for (size_t i = 9; i + 1 < all.len; i++)
            assert_null(memchr("\"'<>`", all.ptr[i], 5));
    }
}
