/* Rules of clients that need no database: each fills *no where it refuses. */
#ifndef OAUTH_CLIENT_INTERNAL_H
#define OAUTH_CLIENT_INTERNAL_H

#include "oauth/client.h"

MUST_CHECK enum err_code client_check_name(struct str name, struct refusal *no);
MUST_CHECK enum err_code client_check_redirects(const struct str *uris, size_t count, struct refusal *no);
MUST_CHECK enum err_code client_check_new(const struct client_new *in, struct refusal *no);

#endif
