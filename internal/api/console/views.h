/* How people and their sessions look in answers. Any thread. */
#ifndef API_CONSOLE_VIEWS_H
#define API_CONSOLE_VIEWS_H

#include "account/session.h"
#include "json/jsonw.h"

/* The whole answer: session, user, csrfToken. */
void view_signed_in(struct jsonw *w, const struct person *p, const char *csrf);
void view_session_row(struct jsonw *w, const struct session *s, bool current);
/* {"success":true} */
void view_done(struct jsonw *w);

#endif
