/* What the rows of the branch in the path changed since it was made, as its engine says. Worker thread. */
#ifndef API_PERSQL_CHANGES_H
#define API_PERSQL_CHANGES_H

#include "api/persql/plan.h"
#include "branch/merged.h"

struct branch_changes {
    struct registry_entry branch;
    struct schema_diff schema;
    struct merged merged;
    const struct jsonr_value *data; /* the engine's answer: op_branch_changes.c */
};

struct changes_wish {
    struct str table; /* ptr NULL: all */
    struct str body;  /* {"tables":[…]}, "" all */
    int64_t cursor, limit;
    struct str set; /* ptr NULL; or the change set is to be kept in out/<set>.set */
    int64_t timeout_ms;
};

/* Everything but `data`: the branch, its schema against the parent's, what was merged of it. `a` holds it.
 * For those who see all rows. */
MUST_CHECK enum err_code changes_prepare(
    struct api_call *c, struct arena *a, enum capability cap, struct branch_changes *ret);
/* Asks the branch's engine. */
MUST_CHECK enum err_code changes_ask(
    struct api_call *c, struct arena *a, const struct changes_wish *in, struct branch_changes *b);
/* Members "tables", "rows", "hiddenRows", "truncated", "nextCursor" and "notCompared", into an open object.
 */
void changes_write(struct jsonw *w, const struct branch_changes *b);
/* Counts and the first rows as text; `why_not` is told where there is nothing to show. */
void changes_write_markdown(struct strbuf *out, const struct branch_changes *b, const char *why_not);

void changes_copy(struct jsonw *w, const struct jsonr_value *v);
/* ERR_CONFLICT: a table's rows cannot be told apart as before. */
MUST_CHECK enum err_code changes_check_mergeable(const struct branch_changes *b, struct err *err);
int changes_rows(const struct branch_changes *b);

/* The calls of both: an admin's, with nothing of the bearer's but the name. */
struct wire_call changes_call(const struct api_call *c, enum wire_op op, int64_t timeout_ms);
/* What an engine answered other than 200. */
enum err_code changes_refused(
    struct api_call *c, struct arena *a, const struct wire_reply_head *head, struct str body);

#endif
