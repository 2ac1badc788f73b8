/* Agents that registered themselves (RFC 7523): their assertion at /oauth/token and /oauth/revoke. Worker
 * thread. */
#ifndef API_OAUTH_AGENT_H
#define API_OAUTH_AGENT_H

#include "api/oauth/form.h"

#define AGENT_GRANT_TYPE "urn:ietf:params:oauth:grant-type:jwt-bearer"

/* Answers the request. */
MUST_CHECK enum err_code agent_exchange(struct api_call *c, const struct query *form, struct refusal *no);

/* Could the text be an assertion? No other token of ours has a dot in it. */
bool agent_is_assertion(struct str token);
/* Whoever holds it may end it; one that is none, or over, is left without a word (RFC 7009). */
MUST_CHECK enum err_code agent_give_back(struct api_call *c, struct str token);

#endif
