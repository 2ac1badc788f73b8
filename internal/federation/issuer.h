/* Issuers of OpenID Connect tokens that the operator trusts (`serve --trust-issuer`), and their keys.
 *
 * Nothing is trusted that was not listed. A token's `iss` is read before its signature only to choose an
 * issuer of the list; then its keys decide. They come from the issuer itself: its discovery document names
 * where they are (`jwks_uri`), both are fetched by whoever needs them first while others wait for that one
 * fetch, and are kept:
 *
 *            fetched ──────── max-age ──────── fresh_until ──────── LIMIT_ISSUER_STALE_MS ──── usable_until
 *   known key:       used                           used, if the issuer cannot be reached            refused
 *   unknown key:     one fetch, then not again for LIMIT_ISSUER_REFETCH_MS
 *
 * After a failed fetch the next waits, for longer each time. Knows no HTTP: `struct issuer_fetch` does.
 * Any thread; issuer_verify() blocks while keys are fetched: worker threads. */
#ifndef FEDERATION_ISSUER_H
#define FEDERATION_ISSUER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "json/jsonr.h"

/* Fetches one document of at most `max` bytes. *ret_max_age_s: for how long the sender says it may be kept,
 * -1 if it does not. Called by any thread, one at a time for each issuer; bounded time. */
struct issuer_fetch {
    enum err_code (*get)(
        void *arg, struct str url, size_t max, struct strbuf *out, int64_t *ret_max_age_s, struct err *err);
    void *arg;
};

enum issuer_kind { ISSUER_OTHER, ISSUER_GITHUB, ISSUER_GITLAB, ISSUER_GOOGLE };

#define ISSUER_GITHUB_URL "https://token.actions.githubusercontent.com"
#define ISSUER_GITLAB_URL "https://gitlab.com"
#define ISSUER_GOOGLE_URL "https://accounts.google.com"
#define ISSUER_URL_MAX    200 /* bytes */

/* How people write an issuer: "github", "gitlab=https://git.example.com", "https://login.example.com". */
struct issuer_name {
    enum issuer_kind kind;
    struct str url;
};
/* Views of `text`. ERR_INVALID. */
MUST_CHECK enum err_code issuer_parse(struct str text, struct issuer_name *ret, struct err *err);
struct str issuer_text(struct arena *a, const struct issuer_name *name); /* arena memory */

struct issuers;

/* What a name means to a server with this list: the kind of an address that is on it, and "github" for the
 * only one of that kind where the usual one is not there. */
struct issuer_name issuers_resolve(const struct issuers *all, const struct issuer_name *name);

/* `list`: URLs, or github, gitlab and google for the three above; each once. Copies it. `fetch` outlives what
 * is made. ERR_INVALID names the entry at fault. No fetch happens here. */
MUST_CHECK enum err_code issuers_new(const struct str *list, size_t count, const struct issuer_fetch *fetch,
    struct issuers **ret, struct err *err);
void issuers_free(struct issuers *all); /* NULL is fine; no call may be left in it */

size_t issuers_count(const struct issuers *all);
struct str issuers_url(const struct issuers *all, size_t at); /* as in `iss` */

/* Who a token speaks for. All text is in the arena of the call. Only issuer and id together name somebody for
 * good: a `name` may belong to somebody else tomorrow (a repository that is deleted and made anew).
 *
 *   kind    name                       id                  owner_id
 *   GitHub  repository "owner/repo"    repository_id       repository_owner_id
 *   GitLab  project_path "group/app"   project_id          namespace_id
 *   Google  email, if verified, else sub   sub             ""
 *   other   sub                        sub                 ""                                              */
struct foreign_identity {
    enum issuer_kind kind;
    struct str issuer, subject; /* iss, sub */
    struct str name, id, owner_id;
    int64_t expires_ms; /* wall clock */
    const struct jsonr_value *claims;
};

struct issuer_expect {
    struct str audience[2]; /* "persql", the server's own address: each `aud` must be one of them; the second
                               may be empty */
    int64_t now_ms;
};

/* Every message begins with "OIDC verification failed: ". ERR_UNAUTHORIZED: the token is refused.
 * ERR_UNAVAILABLE with retry_after_s: the issuer's keys cannot be had now. */
MUST_CHECK enum err_code issuer_verify(struct issuers *all, struct arena *a, struct str jwt,
    const struct issuer_expect *expect, struct foreign_identity *ret, struct err *err);

#endif
