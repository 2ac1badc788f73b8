/* One authorization request, read and checked. What is wrong with client or address is told on a page and
 * never sent anywhere; everything else goes back to the client's address, with `state` and `iss`. Worker
 * thread. */
#ifndef API_OAUTH_ASK_H
#define API_OAUTH_ASK_H

#include "api/oauth/reply.h"
#include "oauth/grant.h"

enum { PROMPT_NONE = 1, PROMPT_LOGIN = 2, PROMPT_CONSENT = 4, PROMPT_ACCOUNT = 8 };

struct ask {
    const struct query *args;
    struct client client;
    struct str redirect_uri, state;        /* state ptr NULL none */
    struct str nonce, challenge, resource; /* ptr NULL none */
    struct str login_hint;
    struct str expected_sub; /* by id_token_hint; ptr NULL none */
    unsigned scope, prompt;
    int64_t max_age_s; /* -1: not asked */
};

/* `from` are the parameters. ERR_INVALID: for a page. *no: for the client. */
MUST_CHECK enum err_code ask_read(
    struct api_call *c, const struct query *from, struct ask *ret, struct refusal *no);
/* Sends the person back with an error. */
enum err_code ask_refuse(struct api_call *c, const struct ask *ask, const struct refusal *no);
/* … or with a code. */
void ask_grant(struct api_call *c, const struct ask *ask, struct str code);
/* "/oauth/authorize?…" of the same request, for the forms of our pages. `signed_in`: without what asks to
 * sign in. */
struct str ask_address(struct api_call *c, const struct ask *ask, bool signed_in);

#endif
