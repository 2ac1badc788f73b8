/* What a branch began with and what was merged of it since, as files beside its database (engine/base.h says
 * what the engine makes of them):
 *
 *   <data>/db/<id>/base                              the mark: rows or schema, and an id of this start
 *   <data>/db/<id>/merged/<start>-<time>-<proposal>.set    what that proposal to the parent would merge
 *                                                   .done   … and has merged
 *
 * A merge is a proposal in the parent's database, and that database alone knows whether it was applied:
 * later, by somebody else, or just before a crash. So its change set is kept here before the proposal is
 * made, and whoever reads the list asks what became of those that waited. A branch that is made anew has
 * another start, and nothing of this counts any more. Worker thread. */
#ifndef BRANCH_MERGED_H
#define BRANCH_MERGED_H

#include "registry/registry.h"

/* Beside the main.db of a branch that is about to begin, in a directory that the caller syncs. `start` is an
 * id of its own. */
MUST_CHECK enum err_code merged_mark(const char *dir, bool rows, const struct id *start, struct err *err);

/* The mark that is in that directory. start.text "": none. */
struct merged_start {
    struct id start;
    bool rows;
};
MUST_CHECK enum err_code merged_read_mark(const char *dir, struct merged_start *ret, struct err *err);

enum merge_state { MERGE_UNKNOWN, MERGE_WAITS, MERGE_APPLIED, MERGE_VOID };
/* What became of that proposal. MERGE_UNKNOWN: there is none (yet). */
typedef enum err_code merge_state_fn(void *arg, struct str proposal, enum merge_state *ret, struct err *err);

struct merged {
    struct id start;  /* "" the branch has no mark */
    struct str names; /* files of what was merged since, in their order, between commas; arena memory */
};

/* Asks about those that waited. */
MUST_CHECK enum err_code merged_read(const char *data_dir, struct arena *a, const struct id *branch,
    merge_state_fn *ask, void *arg, struct merged *ret, struct err *err);

/* Keeps out/<set>.set of the branch's engine for that proposal, durably, and shows it to the parent's engine
 * as in/<proposal>.set. */
MUST_CHECK enum err_code merged_keep(const char *data_dir, const struct id *branch, const struct id *start,
    struct str set, const struct id *parent, struct str proposal, struct err *err);
/* The parent's engine has read it, or will not. `keep` false: no such proposal was made. */
void merged_shown(const char *data_dir, const struct id *branch, const struct id *start,
    const struct id *parent, struct str proposal, bool keep);
/* out/<set>.set is not needed. */
void merged_drop_set(const char *data_dir, const struct id *branch, struct str set);

#endif
