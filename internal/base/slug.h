/* Slugs: the names of namespaces and databases in URLs. The DNS label rule: 1 to 63 of a-z, 0-9 and hyphens,
 * a letter or digit at both ends, so that one may become a host name later. Any thread. */
#ifndef BASE_SLUG_H
#define BASE_SLUG_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define SLUG_SIZE 64 /* LIMIT_SLUG_BYTES and a terminator */

bool slug_valid(struct str slug);
/* ERR_INVALID at `pointer` ("/slug"), saying which rule is broken; `reserved` (NULL-terminated, may be NULL)
 * names what is taken by routes. */
MUST_CHECK enum err_code slug_check(
    struct str slug, const char *const *reserved, const char *pointer, struct err *err);

/* "Weekend prototype!" becomes "weekend-prototype", at most `max` characters; "" when it has no letter or
 * digit of ASCII. Arena memory. */
struct str slug_from_text(struct arena *a, struct str text, size_t max);

#endif
