/* An answer that is no envelope: what a handler on a worker decides about status, kind and headers, and the
 * loop then sends. The body is in call->text (pages) or was written with call->out (JSON). */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "base/err.h"
#include "base/strbuf.h"

struct api_request;

enum answer_kind { ANSWER_ENVELOPE, ANSWER_JSON, ANSWER_PAGE, ANSWER_REDIRECT, ANSWER_MARKDOWN };

struct api_answer {
    enum answer_kind kind; /* ANSWER_ENVELOPE: status 200, what routes_doc.def says */
    int status;
    struct str location; /* ANSWER_REDIRECT: arena memory */
    struct str
        form_origin; /* pages with a form: where its answer may lead besides here; arena memory, "" nowhere */
    struct str authenticate; /* WWW-Authenticate, "" none */
    int retry_after_s;       /* 0: not told */
    bool may_be_cached;
};

/* The headers that r->answer needs. Loop thread. */
void answer_set_headers(struct api_request *r);
const char *answer_content_type(const struct api_answer *a);

/* A page of its own for a request that failed before its handler. */
void answer_write_failure(struct strbuf *out, const struct err *err);

#endif
