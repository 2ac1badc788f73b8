/* What the schema of the branch in the path changes against its parent's. Worker thread. */
#ifndef API_PERSQL_PLAN_H
#define API_PERSQL_PLAN_H

#include "api/call.h"
#include "branch/schema_diff.h"

/* Asks the engines of both in turn, for LIMIT_TEMPLATE_MS at most. `a` holds the difference. ERR_FORBIDDEN a
 * table scope. */
MUST_CHECK enum err_code plan_read(struct api_call *c, struct arena *a, enum capability cap,
    struct registry_entry *ret_branch, struct schema_diff *ret);
/* The same; `ret_name`: what the branch's engine calls the schema that was compared. */
MUST_CHECK enum err_code plan_read_named(struct api_call *c, struct arena *a, enum capability cap,
    struct registry_entry *ret_branch, struct schema_diff *ret, struct str *ret_name);

/* plan_view.c */

/* {"added", "changed", "removed", "statements", "byHand"} */
void plan_write(struct jsonw *w, const struct schema_diff *d);
void plan_write_markdown(struct strbuf *out, struct str ref, const struct schema_diff *d);
/* Somebody else's text within a line of markdown: nothing in it makes markup, a link or another line, and
 * what hides is spelled out (base/visible.h). */
void plan_markdown_text(struct strbuf *out, struct str text);

#endif
