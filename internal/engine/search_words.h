/* Words of names and of prose, and how well two of them match. Any thread. */
#ifndef ENGINE_SEARCH_WORDS_H
#define ENGINE_SEARCH_WORDS_H

#include "base/str.h"

enum { SEARCH_WORD_MAX = 40, SEARCH_WORDS_MAX = 16 };

struct search_word {
    char text[SEARCH_WORD_MAX]; /* lower case (ASCII), cut */
    size_t len;
    size_t stem; /* length without a plural's ending */
};

/* Takes the next word from *rest: "order_items", "orderItems" and "order items" are the same two words. */
bool search_word_next(struct str *rest, struct search_word *ret);

/* 1 the same word, less for another number, a beginning, a part or a slip of the pen, 0 none of these. */
double search_word_match(const struct search_word *asked, const struct search_word *found);

#endif
