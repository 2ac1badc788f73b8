/* The OpenAPI 3.1 document, made from routes.def, routes_doc.def and schemas.def. Any thread. */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "base/strbuf.h"

#include <stdint.h>

/* Writes the whole document. `server_url` is the public address, "" none. */
void openapi_write(struct strbuf *out, struct str server_url);

/* The answer of this route has no {"success":…,"data":…} around it. */
bool openapi_answers_bare(unsigned route);

/* Where a route reads query parameters, these are the ones it knows (for the engine's arguments). Ends with
 * NULL. */
const char *openapi_query_arg(unsigned route, unsigned nth);

/* Branches, snapshots, proposals, rules, approvals: what a route does not know is refused, for a wrong guess
 * would write. Others are as lenient as PerSQL is. */
bool openapi_is_strict(unsigned route);

#endif
