/* What a RUN_WORKER, RUN_PASSWORD or RUN_ABROAD handler is given. It runs whole on one worker thread and
 * writes the value of "data" (or, on error, returns with `err` filled). It touches neither the loop nor the
 * HTTP request. */
#ifndef API_CALL_H
#define API_CALL_H

#include "account/throttle.h"
#include "api/answer.h"
#include "api/request.h"
#include "audit/actor.h"
#include "http/query.h"
#include "json/jsonr.h"
#include "json/jsonw.h"
#include "registry/registry.h"
#include "token/token.h"

struct api_call {
    struct db *db; /* control.db, this worker's */
    const struct registry_disk *disk;
    const struct identity *who;  /* NULL: nobody said */
    const struct person *person; /* NULL: a token */
    enum member_role member;     /* of the person in {ns} */
    const struct api_options *opt;
    const struct actor *by;   /* the same, for what changes state */
    struct str db_slug, item; /* {db} and {id} of the path */
    struct throttle *throttle;
    const char *csrf;     /* of the session that asks */
    struct str base_url;  /* where people reach the server, without a slash at its end */
    struct str link_base; /* the same for links that others follow; "" where a stranger may have said it */
    struct cookie_order *cookie; /* what the client is to be given */
    const struct query *args;
    struct str body;
    struct arena *arena;
    struct jsonw *out;
    struct strbuf *text;                    /* the same body, for pages */
    struct api_answer *answer;              /* how it is sent, where that is not an envelope */
    const struct digest *session;           /* AUTH_PAGE: the cookie's, NULL none */
    struct str authorization, content_type; /* headers; ptr NULL none */
    struct str raw_query;
    void *flow; /* state of a flow of which this is a step */
    struct err *err;
};

/* The database that {db} names, when the token reaches it. */
MUST_CHECK enum err_code call_database(struct api_call *c, enum capability cap, struct registry_entry *ret);
/* ?limit=1..500 (default 100) and ?after=KEY of lists that page by key. */
MUST_CHECK enum err_code call_read_page(struct api_call *c, struct str *ret_after, int64_t *ret_limit);
/* Both: a page of what the database in the path has. */
MUST_CHECK enum err_code call_page_of(struct api_call *c, enum capability cap, struct registry_entry *ret,
    struct str *ret_after, int64_t *ret_limit);
/* After a change: the {id} of the path is the answer; an error passes. */
MUST_CHECK enum err_code call_answer_id(struct api_call *c, enum err_code rc);
/* The body as an object of these fields; others are refused. */
MUST_CHECK enum err_code call_read_body(
    struct api_call *c, const struct jsonr_field *fields, size_t count, void *out);

#endif
