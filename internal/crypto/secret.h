/* A token or a password while it is needed: a type that no formatting function takes, wiped when it is
 * released. Reveal it only to hash it, to compare it or to show it once to its owner. One thread at a time.
 */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include "base/attr.h"
#include "base/str.h"

#define SECRET_MAX 256

struct secret {
    size_t len;
    char bytes[SECRET_MAX + 1]; /* NUL behind len */
};

#define SECRET_INIT                                                                                          \
    {                                                                                                        \
        .len = 0                                                                                             \
    }

MUST_CHECK bool secret_set(
    struct secret *s, struct str bytes);          /* copies; false when longer than SECRET_MAX */
struct str secret_reveal(const struct secret *s); /* NUL-terminated, valid while *s is */
void secret_release(struct secret *s);            /* wipes; it may be set again */

#define AUTO_SECRET CLEANUP(secret_release) struct secret

#endif
