/* Answers that are HTML, all with the same strict headers: nothing is loaded, framed, sniffed, cached or told
 * to other sites, scripts and styles come from files of this server alone. Pages are templates of ours; what
 * they show of others is escaped text. Loop thread. */
#ifndef API_HTML_H
#define API_HTML_H

#include "base/str.h"

struct api_request;

/* The headers alone. Browsers apply form-action to where the answer of a form redirects as well, so
 * `form_origin` is allowed there too ("" none; ptr NULL: a page without a form). */
void html_set_headers(struct api_request *r, struct str form_origin);

void html_reply(struct api_request *r, int status, struct str page);

#endif
