/* Answers that are HTML, all with the same strict headers: nothing is loaded, framed, sniffed, cached or told
 * to other sites, scripts and styles come from files of this server alone. Pages are templates of ours; what
 * they show of others is escaped text. Loop thread. */
#ifndef API_HTML_H
#define API_HTML_H

#include "base/str.h"

struct api_request;

void html_reply(struct api_request *r, int status, struct str page);

#endif
