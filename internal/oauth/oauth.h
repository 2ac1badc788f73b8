/* The authorization server's words: scopes, refusals, and the pure rules of redirect addresses and PKCE. What
 * is stored is in client.h, grant.h, code.h and access.h.
 *
 * A request is refused in the words of the standards (struct refusal), which is no failure of ours: functions
 * then return ERR_OK, and the transaction commits, because a refusal may have ended something. Any thread. */
#ifndef OAUTH_OAUTH_H
#define OAUTH_OAUTH_H

#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"

enum oauth_error {
    OAUTH_OK,
#define OAUTH_ERROR(id, name) OAUTH_##id,
#include "oauth/errors.def"
#undef OAUTH_ERROR
    OAUTH_ERROR_COUNT
};

struct refusal {
    enum oauth_error error; /* OAUTH_OK: none */
    const char *text;       /* one sentence, static */
};

const char *oauth_error_name(enum oauth_error error);
/* Fills *no and returns ERR_OK, so that a function can end with it. */
enum err_code oauth_refuse(struct refusal *no, enum oauth_error error, const char *text);

/* --- Scopes: a set as bits --- */

enum scope_bit {
#define SCOPE(id, name, text) SCOPE_BIT_##id,
#include "oauth/scopes.def"
#undef SCOPE
    SCOPE_COUNT
};
enum {
#define SCOPE(id, name, text) SCOPE_##id = 1 << SCOPE_BIT_##id,
#include "oauth/scopes.def"
#undef SCOPE
};

#define SCOPE_ALL      ((1u << SCOPE_COUNT) - 1)
#define SCOPE_TEXT_MAX 80

const char *scope_name(enum scope_bit bit);
const char *scope_text(enum scope_bit bit); /* for people: what it lets a program do */
/* Names between single spaces; those that nobody knows are ignored, as the standards ask. false: not the
 * grammar of RFC 6749, or a name twice. */
MUST_CHECK bool scope_parse(struct str text, unsigned *ret);
struct str scope_write(unsigned scope, char out[SCOPE_TEXT_MAX]);

/* --- Redirect addresses --- */

#define REDIRECT_BYTES_MAX 1024

/* May a client register it: https, or http to this machine (127.0.0.1, [::1], localhost); an absolute address
 * without fragment, user or white space. NULL, or why not. */
const char *redirect_check(struct str uri);
/* Byte for byte the same; the port alone may differ, where both are http to this machine (RFC 8252, 7.3). */
bool redirect_matches(struct str registered, struct str given);
bool redirect_is_loopback(struct str uri);
/* "https://app.example.com": what the consent page shows of it. */
struct str redirect_origin(struct str uri);

/* --- PKCE --- */

bool pkce_challenge_valid(struct str challenge); /* 43 characters of base64url */
bool pkce_verifier_valid(struct str verifier);   /* 43 to 128 of RFC 7636's alphabet */
bool pkce_matches(struct str challenge, struct str verifier);

#endif
