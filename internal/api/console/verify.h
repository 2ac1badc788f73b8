/* Checking a password against guessing: throttled, and the same work whether or not there is such an account.
 * Password pool. */
#ifndef API_CONSOLE_VERIFY_H
#define API_CONSOLE_VERIFY_H

#include "api/call.h"

/* ERR_UNAUTHORIZED unknown address, wrong password: the same text and work for both. ERR_RATE_LIMITED.
 * ERR_FORBIDDEN the password is right and the account is suspended. `ret_rehash` is "" or a hash of the
 * password under today's parameters, to be stored. */
MUST_CHECK enum err_code verify_sign_in(struct api_call *c, struct str email, struct str password,
    struct account *ret, char ret_rehash[PASSWORD_HASH_MAX]);
/* Counts an account that is made, which costs as much as a guess: an address may make as many at once as it
 * may fail, and then one now and then. ERR_RATE_LIMITED. */
MUST_CHECK enum err_code verify_may_sign_up(struct api_call *c, struct str email);
/* The person who asks gives the password once more. ERR_FORBIDDEN at `pointer` when it is wrong. */
MUST_CHECK enum err_code verify_again(struct api_call *c, struct str password, const char *pointer);

#endif
