/* What the files of this folder share. */
#ifndef OAUTH_OAUTH_INTERNAL_H
#define OAUTH_OAUTH_INTERNAL_H

#include "audit/audit.h"
#include "crypto/token.h"
#include "oauth/oauth.h"

#define OAUTH_HEX_SIZE (2 * DIGEST_BYTES + 1)

/* What is stored of a secret. */
void oauth_hex(struct str secret, char out[OAUTH_HEX_SIZE]);
/* Form and checksum are right for that kind. */
bool oauth_is_kind(struct str secret, enum token_kind kind);

#endif
