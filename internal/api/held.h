/* Writes that an engine holds until people approve them (engine/rule.h): before the client hears of one it is
 * registered in control.db, so that the token it is given can be looked at and decided. After a crash in
 * between nobody knows the token, and the proposal expires. */
#ifndef API_HELD_H
#define API_HELD_H

#include "approval/approval.h"
#include "json/jsonr.h"

struct api_request;

/* A held reply of an engine. */
struct held_reply {
    struct approval_new in; /* whose database, namespace, bearer and person the caller fills in */
    const struct jsonr_value *hits, *drift; /* drift NULL: none */
};

/* `body` outlives *ret, as does `a`. ERR_INTERNAL: it is none. */
MUST_CHECK enum err_code held_read(struct arena *a, struct str body, struct held_reply *ret, struct err *err);
/* The answer to whoever wanted the write. `base_url` is where people reach the server. */
void held_tell(struct strbuf *out, const struct held_reply *h, struct str base_url, struct str request_id);

/* Answers r->head and r->body, which are such a reply: registers it on a worker, then tells. Loop thread. */
void request_reply_held(struct api_request *r);

#endif
