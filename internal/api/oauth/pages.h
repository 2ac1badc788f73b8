/* The pages of the authorization server: plain HTML that works without scripts. Worker thread. */
#ifndef API_OAUTH_PAGES_H
#define API_OAUTH_PAGES_H

#include "api/oauth/ask.h"

/* `email` is filled in, `problem` said above the form ("" none). */
void page_sign_in(
    struct api_call *c, const struct ask *ask, struct str email, const char *problem, int status);

/* One thing that a person may choose. */
struct choice {
    struct str value, text;
};

struct consent {
    const struct ask *ask;
    const struct person *person;
    const char *field, *question; /* what is chosen; field NULL: nothing */
    const struct choice *choices;
    size_t choice_count;
};
void page_consent(struct api_call *c, const struct consent *consent);

/* "Sign out?", with what the form sends on. */
void page_sign_out(struct api_call *c, const struct person *person, struct str redirect_uri, struct str state,
    struct str client_id);
/* A sentence. */
void page_message(struct api_call *c, int status, const char *title, const char *text);

#endif
