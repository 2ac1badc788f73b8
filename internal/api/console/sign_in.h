/* Signing in, by the console's route and by the page of the authorization server. Password pool. */
#ifndef API_CONSOLE_SIGN_IN_H
#define API_CONSOLE_SIGN_IN_H

#include "api/call.h"

/* A new session, whose secret goes into c->cookie; at the first time a namespace with a database. Errors as
 * verify_sign_in. */
MUST_CHECK enum err_code sign_in_person(
    struct api_call *c, struct str email, struct str password, struct person *ret);

#endif
