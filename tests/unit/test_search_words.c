/* Words and how well two of them match: plurals of every kind count as one word in another number. */
#include "engine/search_words.h"
#include "lib/unit.h"

static struct search_word word(const char *text)
{
    struct str rest = str_of(text);
    struct search_word w;
    assert_true(search_word_next(&rest, &w));
    return w;
}

static double match(const char *asked, const char *found)
{
    struct search_word a = word(asked), b = word(found);
    return search_word_match(&a, &b);
}

void test_searchwords__another_number_is_nearly_the_same_word(void **state)
{
    static const char *const PAIRS[][2] = {{"cart", "carts"}, {"box", "boxes"}, {"class", "classes"},
        {"watch", "watches"}, {"dish", "dishes"}, {"quiz", "quizes"}, {"category", "categories"}};
    (void)state;
    double plural = match("carts", "cart");
    assert_true(plural > match("cartoon", "cart") && plural < 1);
    for (size_t i = 0; i < ARRAY_LEN(PAIRS); i++) {
        const char *one = PAIRS[i][0], *many = PAIRS[i][1];
        if (match(one, many) != plural || match(many, one) != plural || match(many, many) != 1)
            fail_msg("%s, %s: %g %g", one, many, match(one, many), match(many, one));
    }
}

void test_searchwords__what_only_looks_like_a_plural_is_none(void **state)
{
    (void)state;
    double plural = match("carts", "cart");
    assert_true(match("glass", "glas") < plural);
    assert_true(match("bus", "bu") < plural);
}
