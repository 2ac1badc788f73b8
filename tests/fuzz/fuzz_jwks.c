/* What an issuer sends, on any bytes: its discovery document, its set of keys, and a token's claims beside
 * keys that are good. Nothing is accepted that no key signed, and every refusal can be shown to a person. */
#include "base/check.h"
#include "base/strbuf.h"
#include "crypto/jwks.h"
#include "federation/issuer.h"

#define URL  "https://login.example.com"
#define GOOD "{\"issuer\":\"" URL "\",\"jwks_uri\":\"" URL "/jwks\"}"
/* {"alg":"ES256","kid":"k"} . {"iss":"https://login.example.com"} . nothing that anybody signed */
#define TOKEN                                                                                                \
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIn0."                    \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct served {
    struct str discovery, jwks;
};

static enum err_code get(
    void *arg, struct str url, size_t max, struct strbuf *out, int64_t *ret_max_age_s, struct err *err)
{
    const struct served *s = arg;
    struct str text = str_eq(url, S(URL "/.well-known/openid-configuration")) ? s->discovery : s->jwks;
    (void)err;
    strbuf_add_str(out, str_slice(text, 0, max));
    *ret_max_age_s = -1;
    return ERR_OK;
}

static void verify(const struct served *served, struct str token)
{
    AUTO_ARENA a;
    struct err err = ERR_INIT;
    struct issuers *all = NULL;
    struct str list[] = {S(URL)};
    struct issuer_fetch fetch = {get, (void *)served};
    struct foreign_identity who;
    const struct issuer_expect expect = {.audience = {S("persql")}, .now_ms = 1800000000000};
    arena_init(&a, 1 << 20);
    CHECK(issuers_new(list, 1, &fetch, &all, NULL) == ERR_OK);
    enum err_code rc = issuer_verify(all, &a, token, &expect, &who, &err);
    CHECK(rc == ERR_UNAUTHORIZED || rc == ERR_UNAVAILABLE);
    CHECK(str_starts(str_of(err.message), S("OIDC verification failed: ")));
    issuers_free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_make(data, size);
    struct jwks *set = NULL;
    if (jwks_read(input, &set, NULL) == ERR_OK)
        CHECK(jwks_count(set) > 0);
    jwks_unref(set);
    verify(&(struct served){input, S("{}")}, S(TOKEN));
    verify(&(struct served){S(GOOD), input}, S(TOKEN));
    verify(&(struct served){S(GOOD), S("{}")}, input);
    return 0;
}
