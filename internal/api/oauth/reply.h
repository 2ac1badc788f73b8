/* Answers in the shapes of the OAuth standards. Worker thread. */
#ifndef API_OAUTH_REPLY_H
#define API_OAUTH_REPLY_H

#include "api/call.h"
#include "oauth/client.h"

/* The answer is c->out's JSON, never cached. */
void oauth_reply_json(struct api_call *c, int status);
/* {"error":…,"error_description":…} with the status that RFC 6749 and 7591 name. */
enum err_code oauth_reply_refusal(struct api_call *c, const struct refusal *no);
/* An empty 200. */
void oauth_reply_empty(struct api_call *c);
/* 303, so that a browser does not send a form on. */
void oauth_redirect(struct api_call *c, struct str location);

/* There is one resource: this server, with or without a slash at its end. ptr NULL is fine. */
MUST_CHECK enum err_code oauth_check_resource(struct api_call *c, struct str given, struct refusal *no);

/* Who looks at a page; false: nobody who is signed in. */
MUST_CHECK enum err_code oauth_find_person(struct api_call *c, struct person *ret, bool *ret_found);

/* The client that asks, by its Authorization header or by the form, never by both. */
MUST_CHECK enum err_code oauth_read_client(
    struct api_call *c, const struct query *form, struct client *ret, struct refusal *no);

#endif
