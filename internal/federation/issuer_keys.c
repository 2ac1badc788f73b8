/* Keys of issuers as they are kept: see the picture in issuer.h. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "federation/issuer_internal.h"

#define US_PER_MS 1000
#define US_PER_S  1000000
#define MS_PER_S  1000

static int64_t lifetime_us(int64_t max_age_s)
{
    int64_t ms = LIMIT_ISSUER_KEYS_MS;

    if (max_age_s >= 0)
        ms =
            max_age_s > LIMIT_ISSUER_KEYS_MAX_MS / MS_PER_S ? LIMIT_ISSUER_KEYS_MAX_MS : max_age_s * MS_PER_S;
    return (ms < LIMIT_ISSUER_KEYS_MIN_MS ? LIMIT_ISSUER_KEYS_MIN_MS : ms) * US_PER_MS;
}

static void keep(struct issuer *i, struct jwks *keys, int64_t max_age_s, int64_t now_us)
{
    jwks_unref(i->keys);
    i->keys = keys;
    i->fresh_until_us = now_us + lifetime_us(max_age_s);
    i->usable_until_us = i->fresh_until_us + LIMIT_ISSUER_STALE_MS * US_PER_MS;
    i->next_fetch_us = now_us + LIMIT_ISSUER_REFETCH_MS * US_PER_MS;
    i->retry_us = 0;
}

static void note_failure(struct issuer *i, const struct err *why, int64_t now_us)
{
    i->retry_us = i->retry_us ? 2 * i->retry_us : LIMIT_ISSUER_RETRY_MS * US_PER_MS;
    if (i->retry_us > LIMIT_ISSUER_RETRY_MAX_MS * US_PER_MS)
        i->retry_us = LIMIT_ISSUER_RETRY_MAX_MS * US_PER_MS;
    i->next_fetch_us = now_us + i->retry_us;
    i->failure = *why;
}

/* Lets go of the lock meanwhile: whoever knows its key goes on, whoever does not waits for this. */
static void fetch(struct issuers *all, struct issuer *i)
{
    struct jwks *keys = NULL;
    struct err why = ERR_INIT;
    int64_t max_age_s = -1;

    i->fetching = true;
    CHECK(pthread_mutex_unlock(&i->lock) == 0);
    enum err_code rc = issuer_fetch_keys(all->fetch, str_of(i->url), &keys, &max_age_s, &why);
    CHECK(pthread_mutex_lock(&i->lock) == 0);
    if (rc)
        note_failure(i, &why, clock_mono_us());
    else
        keep(i, keys, max_age_s, clock_mono_us());
    i->fetching = false;
    CHECK(pthread_cond_broadcast(&i->fetched) == 0);
}

static enum err_code cannot_ask(const struct issuer *i, int64_t now_us, struct err *err)
{
    return err_retry(err, ERR_UNAVAILABLE, (int)((i->next_fetch_us - now_us) / US_PER_S) + 1,
        "the keys of %s cannot be fetched: %s", i->url, i->failure.message);
}

/* One look at what is there, under the lock. false: something may have changed, look again. *ret is ERR_OK:
 * use i->keys. */
static bool look(struct issuers *all, struct issuer *i, struct str kid, enum err_code *ret, struct err *err)
{
    int64_t now_us = clock_mono_us();
    bool usable = i->keys && now_us < i->usable_until_us, fresh = i->keys && now_us < i->fresh_until_us;
    bool known = usable && jwks_find(i->keys, kid), due = now_us >= i->next_fetch_us;

    if (known && (fresh || i->fetching || !due)) {
        *ret = ERR_OK;
    } else if (i->fetching) {
        CHECK(pthread_cond_wait(&i->fetched, &i->lock) == 0);
        return false;
    } else if (due) {
        fetch(all, i);
        return false;
    } else if (usable && i->retry_us == 0) {
        *ret = err_set(err, ERR_UNAUTHORIZED, "%s has no key of the name in the token's head (kid)", i->url);
    } else {
        *ret = cannot_ask(i, now_us, err);
    }
    return true;
}

enum err_code issuer_keys(
    struct issuers *all, struct issuer *i, struct str kid, struct jwks **ret_keys, struct err *err)
{
    enum err_code rc = ERR_OK;

    CHECK(pthread_mutex_lock(&i->lock) == 0);
    while (!look(all, i, kid, &rc, err))
        ;
    if (!rc)
        *ret_keys = jwks_ref(i->keys);
    CHECK(pthread_mutex_unlock(&i->lock) == 0);
    return rc;
}
