/* One trusted issuer and what is known of its keys, for the files of this folder. */
#ifndef FEDERATION_ISSUER_INTERNAL_H
#define FEDERATION_ISSUER_INTERNAL_H

#include "crypto/jwks.h"
#include "federation/issuer.h"
#include <pthread.h>

struct issuer {
    enum issuer_kind kind;
    char url[ISSUER_URL_MAX + 1];
    pthread_mutex_t lock;
    pthread_cond_t fetched;
    /* Below: under the lock. Times are monotonic. */
    struct jwks *keys; /* NULL none yet */
    int64_t fresh_until_us, usable_until_us;
    int64_t next_fetch_us; /* no fetch before */
    int64_t retry_us;      /* how long the last failure made us wait; 0: it was none */
    bool fetching;
    struct err failure; /* of the last fetch, when it failed */
};

struct issuers {
    const struct issuer_fetch *fetch;
    size_t count;
    struct issuer *list;
};

/* The key of that name in *ret_keys, which the caller gives back with jwks_unref(). ERR_UNAUTHORIZED: the
 * issuer has no such key. ERR_UNAVAILABLE: it cannot be asked. */
MUST_CHECK enum err_code issuer_keys(
    struct issuers *all, struct issuer *issuer, struct str kid, struct jwks **ret_keys, struct err *err);

/* The two documents, one after the other. Takes no lock. */
MUST_CHECK enum err_code issuer_fetch_keys(const struct issuer_fetch *fetch, struct str issuer,
    struct jwks **ret_keys, int64_t *ret_max_age_s, struct err *err);

/* Fills in name, id and owner_id from the claims. ERR_UNAUTHORIZED: one that must be there is missing. */
MUST_CHECK enum err_code issuer_identity(struct arena *a, struct foreign_identity *who, struct err *err);

#endif
