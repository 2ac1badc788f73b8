/* The key that signs the audit log: <data>/audit.key (PEM) and its public half <data>/audit.pub, which may
 * be handed to whoever verifies; both are 0600 like all of <data>. The private key is read for each signature
 * and wiped after it, so that it is in memory for moments only. A lost key is replaced at the server's next
 * start: audit.pub then holds both, oldest first. Worker thread and commands. */
#ifndef AUDIT_KEY_H
#define AUDIT_KEY_H

#include "base/err.h"
#include "crypto/sign.h"

#define AUDIT_KEY_FILE    "audit.key"
#define AUDIT_PUBLIC_FILE "audit.pub"
#define AUDIT_KEY_ID_SIZE (DIGEST_BYTES + 1)
#define AUDIT_KEYS_MAX    16

void audit_key_id(const struct sign_key *key, char out[AUDIT_KEY_ID_SIZE]);

/* ERR_NOT_FOUND, ERR_INVALID. sign_key_free() it soon. */
MUST_CHECK enum err_code audit_key_load(const char *data_dir, struct sign_key **ret, struct err *err);
/* Makes both files where the private one is missing, and the public one where only that is. Under the lock of
 * the data directory. */
MUST_CHECK enum err_code audit_key_ensure(const char *data_dir, struct err *err);

/* Public keys of one file. */
struct audit_keys {
    struct sign_key *keys[AUDIT_KEYS_MAX];
    size_t count;
};

MUST_CHECK enum err_code audit_keys_load(const char *path, struct audit_keys *ret, struct err *err);
void audit_keys_release(struct audit_keys *keys);
/* NULL: none of that id. */
const struct sign_key *audit_keys_find(const struct audit_keys *keys, struct str id);

#endif
