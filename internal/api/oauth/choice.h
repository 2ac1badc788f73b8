/* Which database a person gives: one that the app gets for itself (provision), or one of the person's own
 * (connect). Worker thread. */
#ifndef API_OAUTH_CHOICE_H
#define API_OAUTH_CHOICE_H

#include "api/oauth/pages.h"

/* Fills what the consent page asks. ERR_FORBIDDEN: the person has nothing to give. */
MUST_CHECK enum err_code choice_offer(struct api_call *c, const struct grant *known, struct consent *ret);

/* What was chosen. Inside the write transaction of the consent; `ret_made` is set where a database is to be
 * finished (registry_create_finish) after the commit. ERR_FORBIDDEN: not this person's to give. */
MUST_CHECK enum err_code choice_take(struct api_call *c, const struct ask *ask, const struct id *account_id,
    const struct grant *known, const struct query *form, struct registry_entry *ret, bool *ret_made);

/* Whether the database that was given still is the person's to give. */
MUST_CHECK enum err_code choice_holds(
    struct api_call *c, const struct id *account_id, const struct grant *known, bool *ret);

#endif
