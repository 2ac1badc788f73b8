/* Runs of text that mean themselves inside a JSON string: shared by the scan and the writer, where most bytes
 * pass. Any thread. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include "base/str.h"

/* True where a byte below 0x20, a quote, a backslash or a byte above 0x7f is among the eight. */
static inline bool text_any_special(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    uint64_t quote = eight ^ (ones * '"'), slash = eight ^ (ones * '\\');
    return (((eight - ones * 0x20) | (quote - ones) | (slash - ones) | eight) & high) != 0;
}

static inline bool text_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Length of the run at the front that stands for itself: ASCII without controls, quotes and backslashes. */
static inline size_t text_plain_run(struct str s)
{
    size_t i = 0;
    uint64_t eight;
    for (; s.len - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, s.ptr + i, sizeof eight);
        if (text_any_special(eight))
            break;
    }
    while (i < s.len && text_is_plain((unsigned char)s.ptr[i]))
        i++;
    return i;
}

#endif
