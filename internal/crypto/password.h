/* Passwords: argon2id with the parameters of policy/limits.def, kept as a PHC string ("$argon2id$v=19$m=…").
 * A hash takes about 25 ms and 19 MiB, so: worker threads and commands only, never the loop. */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include "base/err.h"
#include "base/str.h"
#include "crypto/secret.h"

#define PASSWORD_HASH_MAX 128

/* The rules for a new password: ERR_INVALID at `pointer` when it is too short or too long, no UTF-8, or made
 * only of common words, runs and words of `about`, the owner's address ("" none). */
MUST_CHECK enum err_code password_check(
    struct str password, struct str about, const char *pointer, struct err *err);

/* Hashes under a fresh salt, whatever the rules say. ERR_BUSY when there is no memory. At most
 * LIMIT_PASSWORD_BYTES_MAX bytes. */
MUST_CHECK enum err_code password_hash(
    struct str password, char ret_hash[PASSWORD_HASH_MAX], struct err *err);

/* True when `hash` was made from `password`. `hash` NULL stands for an account that does not exist: the same
 * work is done, and the answer is false, so that time does not tell which addresses have an account. */
bool password_verify(const char *hash, struct str password);

/* True when `hash` was made with weaker parameters than today's: hash again after the next successful verify.
 */
bool password_needs_rehash(const char *hash);

/* A password to be read from a screen and typed: "k7mw-3fq9-…", five groups, 99 bits, no look-alike
 * characters. */
void password_generate(struct secret *ret);

#endif
