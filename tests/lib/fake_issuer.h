/* An issuer of OpenID Connect tokens in memory: what issuer_fetch asks for comes from here, is counted, and
 * can be changed, delayed or made to fail. Tokens are signed with any head and any claims. Any thread. */
#ifndef TESTS_LIB_FAKE_ISSUER_H
#define TESTS_LIB_FAKE_ISSUER_H

#include "crypto/jose_key.h"
#include "federation/issuer.h"
#include <pthread.h>

#define FAKE_KID_1 "key-1"
#define FAKE_KID_2 "key-2"

struct fake_issuer {
    struct issuer_fetch fetch;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *url;
    struct strbuf discovery, jwks; /* what is served; the test may write its own */
    int64_t max_age_s;
    unsigned discoveries, fetches; /* documents given out */
    bool down, held;               /* held: a fetch stands still until it is false */
    unsigned waiting;              /* fetches that stand still */
};

void fake_issuer_init(struct fake_issuer *f, const char *url);
void fake_issuer_release(struct fake_issuer *f);
/* Publishes these keys under these names, instead of what was there. */
void fake_issuer_publish(
    struct fake_issuer *f, const struct jose_key *const *keys, const char *const *kids, unsigned count);
void fake_issuer_hold(struct fake_issuer *f, bool held);
void fake_issuer_wait_held(struct fake_issuer *f); /* until a fetch stands still */

/* --- One of them, trusted --- */

/* Everybody's keys, made once: RSA, P-256, and a stranger's of each. Never freed. */
enum { FAKE_RSA, FAKE_EC, FAKE_STRANGER, FAKE_STRANGER_EC, FAKE_KEYS };
const struct jose_key *fake_key(int which);

#define FAKE_URL     "https://login.example.com"
#define FAKE_OWN_URL "https://db.example.com"
#define FAKE_NOW_S   1800000000
#define FAKE_NOW_MS  ((int64_t)FAKE_NOW_S * 1000)
#define FAKE_HEAD    "{\"alg\":\"RS256\",\"kid\":\"" FAKE_KID_1 "\",\"typ\":\"JWT\"}"
#define FAKE_TIMES   "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800000600"
#define FAKE_CLAIMS  "\"iss\":\"" FAKE_URL "\",\"aud\":\"persql\",\"sub\":\"robot\"," FAKE_TIMES

struct fake_trust {
    struct fake_issuer fake; /* publishes FAKE_RSA as FAKE_KID_1 and FAKE_EC as FAKE_KID_2 */
    struct issuers *all;
};

/* `entry` as in --trust-issuer. */
void fake_trust_init(struct fake_trust *t, const char *entry, const char *url);
void fake_trust_release(struct fake_trust *t);
/* issuer_verify() at FAKE_NOW_MS for "persql" and FAKE_OWN_URL. */
enum err_code fake_trust_verify(
    struct fake_trust *t, struct arena *a, struct str token, struct foreign_identity *ret, struct err *err);

/* --- Tokens --- */

/* `head` and `claims` are JSON; the signature is that of `key` over them as they are. */
void fake_token(const struct jose_key *key, const char *head, const char *claims, struct strbuf *out);

#endif
