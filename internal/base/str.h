/* Views of text: pointer and length by value, not owned, not terminated. Any thread. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/attr.h"
#include <stdarg.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define S(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).len, (s).ptr
#define STR_EMPTY  ((struct str){"", 0})

static inline struct str str_of(const char *z)
{
    return (struct str){z ? z : "", z ? strlen(z) : 0};
}

static inline struct str str_make(const void *ptr, size_t len)
{
    return (struct str){ptr, len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s);                          /* ASCII white space, both ends */
struct str str_slice(struct str s, size_t from, size_t to); /* bounds are clamped */

/* Cuts *rest at the first `sep`: returns what stands before, leaves what stands after. false when *rest is
 * used up (its ptr is NULL then). "a,,b" yields "a", "", "b". */
bool str_cut(struct str *rest, char sep, struct str *ret_part);

/* Whole-string decimal number within [min, max]; false on anything else (sign only where min < 0). */
MUST_CHECK bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *ret);

/* "90s", "15m", "12h", "30d", "2w" or bare seconds → seconds; false on anything else or past ten years. */
MUST_CHECK bool str_to_duration(struct str s, int64_t *ret_seconds);

/* Printing into a fixed buffer. str_print: it must fit, anything else is a bug; for numbers and names of
 * known length. str_print_cut: what does not fit is cut between two characters; for messages to people. */
void str_print(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
void str_print_cut(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
void str_vprint_cut(char *out, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

/* Edit distance with transposition, capped at 64 characters a side: for "did you mean". */
unsigned str_distance(struct str a, struct str b);

#endif
