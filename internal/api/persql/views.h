/* One view for each resource, so that it looks the same wherever it is shown. Any thread. */
#ifndef API_PERSQL_VIEWS_H
#define API_PERSQL_VIEWS_H

#include "api/call.h"
#include "json/jsonw.h"
#include "registry/registry.h"
#include "token/token.h"

/* On c->out. */
void view_database(struct api_call *c, const struct registry_entry *e);
/* With what it was made from. */
MUST_CHECK enum err_code view_database_whole(struct api_call *c, const struct registry_entry *e);
MUST_CHECK enum err_code view_branch(struct api_call *c, const struct registry_entry *e, bool created);
const char *view_role(enum wire_role role); /* "read", "write" or "admin": as branches spell it */
void view_me(struct jsonw *w, const struct identity *who);
void view_time(struct jsonw *w, const char *key, int64_t wall_ms); /* 0: null */

#endif
