/* API tokens: a prefix, 43 base62 characters that hold 256 random bits, 6 base62 characters of CRC-32 over
 * all before them.
 *
 *     ^psql_(live|test)_[0-9A-Za-z]{49}$
 *
 * The checksum tells a typo or a cut from a revoked token without a look at the database. It is no
 * protection: what is stored and looked up is the SHA-256 of the full text, which needs no salt, because the
 * random part cannot be guessed. Any thread. */
#ifndef CRYPTO_TOKEN_H
#define CRYPTO_TOKEN_H

#include "base/str.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

enum token_kind {
#define TOKEN_KIND(name, prefix) TOKEN_##name,
#include "crypto/token_kinds.def"
#undef TOKEN_KIND
    TOKEN_KIND_COUNT
};

void token_generate(enum token_kind kind, struct secret *ret_token);

/* Prefix, length, alphabet and checksum are right. Says nothing about whether the token was ever issued. */
bool token_well_formed(struct str text, enum token_kind *ret_kind);

struct digest token_hash(struct str text);

/* What may be shown afterwards: "psql_live_xxxx…yyyy", the first and last four characters behind the prefix.
 * `text` is well formed. */
#define TOKEN_MASK_MAX 32
void token_mask(struct str text, char ret_mask[TOKEN_MASK_MAX]);

#endif
