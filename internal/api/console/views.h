/* How people and their sessions look in answers. Any thread. */
#ifndef API_CONSOLE_VIEWS_H
#define API_CONSOLE_VIEWS_H

#include "account/session.h"
#include "federation/repo.h"
#include "json/jsonw.h"
#include "token/token.h"
#include "tenant/invitation.h"
#include "tenant/share.h"

/* The whole answer: session, user, csrfToken. */
void view_signed_in(struct jsonw *w, const struct person *p, const char *csrf);
void view_session_row(struct jsonw *w, const struct session *s, bool current);
/* `members` below 0: not told. */
void view_namespace(struct jsonw *w, const struct membership *m, int64_t members);
void view_member(struct jsonw *w, const struct member *m);
void view_invitation(struct jsonw *w, const struct invitation *i, struct str url); /* url "": not told */
void view_share(struct jsonw *w, const struct share *s);
/* With its secret just after it was made, else NULL. */
void view_token(struct jsonw *w, const struct token *t, const struct secret *secret);
/* `trusted`: does the server trust the issuer now? NULL: who asks cannot know. */
void view_repo(struct jsonw *w, const struct repo_binding *r, const bool *trusted);
/* {"success":true} */
void view_done(struct jsonw *w);

#endif
