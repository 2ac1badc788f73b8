/* Secrets from which keys for HS256 are derived (jose_mac.h), one for each purpose and namespace: files of
 * <data>/keys, 256 random bits in hexadecimal each (0600), named "HS256-<made at>-<kid>.key".
 *
 *   made ──► signs at once ──► a newer one signs ──(END_SESSION_MS)──► removed
 *
 * They are files beside the other signing keys, and no rows, because control.db holds no secret: a copy of it
 * or a backup forges nothing. They are derived, so that a namespace costs nothing and its key is gone with
 * its id. Files are read for each use and wiped after it. Worker threads and commands; keyring_rotate() and
 * keyring_replace() look after them. */
#ifndef CRYPTO_MAC_RING_H
#define CRYPTO_MAC_RING_H

#include "crypto/jose_mac.h"

#define MAC_RING_MAX 8 /* a second one after 90 days, a third by hand; past it the oldest do not count */

struct mac_ring { /* whoever has it wipes it (mem_wipe) */
    struct mac_key keys[MAC_RING_MAX];
    int64_t made_ms[MAC_RING_MAX];
    size_t count; /* newest first; the first signs */
};

/* The keys of one place: `purpose` is a literal, `scope` the id of a namespace. ERR_UNAVAILABLE: there is
 * none. */
MUST_CHECK enum err_code mac_ring_read(
    const char *data_dir, const char *purpose, struct str scope, struct mac_ring *ret, struct err *err);

/* As keyring_rotate and keyring_replace. */
MUST_CHECK enum err_code mac_ring_rotate(const char *data_dir, int64_t now_ms, struct err *err);
MUST_CHECK enum err_code mac_ring_replace(
    const char *data_dir, int64_t now_ms, bool at_once, struct err *err);

#endif
