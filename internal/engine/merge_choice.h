/* Conflicts of a merge and what is to become of them. The branch's change set is written into the parent row
 * by row (change_apply.h); a row that somebody else changed too is a conflict. Each is decided by the first
 * of: its own choice, that of its table, that of all. `ours` leaves the parent's row and drops the branch's
 * change; `theirs` makes the parent's row what the branch has (of a changed row the columns that it changed);
 * `fail` leaves it undecided. What no choice can settle (a unique index, a foreign key, a column that is not
 * there) stays a conflict unless it is dropped.
 *
 * A new row of a table without a key is never in another one's way: nobody named its row id, so it gets the
 * next. Engine's thread. */
#ifndef ENGINE_MERGE_CHOICE_H
#define ENGINE_MERGE_CHOICE_H

#include "base/map.h"
#include "engine/change_apply.h"
#include "engine/change_foreign.h"
#include "engine/op.h"

enum merge_choice { CHOOSE_FAIL, CHOOSE_OURS, CHOOSE_THEIRS };

struct jsonr_value;

struct merge_choices {
    enum merge_choice all;
    const struct jsonr_value *tables, *rows; /* checked; NULL none */
};

/* The member "resolve" of a body; NULL: everything fails. ERR_INVALID names the field. */
MUST_CHECK enum err_code merge_choices_read(
    const struct jsonr_value *v, struct merge_choices *ret, struct err *err);

/* One round: conflicts come in through merge_conflict (a change_conflict_fn), then the set is written anew.
 */
struct merge_round {
    struct op *op;
    const struct merge_choices *choices;
    struct str set, whole; /* branch_set.h */
    struct arena arena;
    struct map decided; /* address of a row's bytes → what becomes of it */
    uint64_t open;      /* conflicts that nobody decided */
    uint64_t unsure;    /* … and those that are none, perhaps, once the others are decided */
    struct jsonw *w;    /* an array of the undecided; NULL: not told */
    uint64_t told, told_max;
    size_t bytes_max;
    bool out_of_memory;
};

void merge_round_init(struct merge_round *m, struct op *op, const struct merge_choices *choices,
    struct str set, struct str whole);
void merge_round_release(struct merge_round *m);
void merge_conflict(void *arg, const struct change_conflict *c);
/* … and those of foreign keys through this one (a change_foreign_fn). */
void merge_foreign(void *arg, const struct change_table_view *table, const struct change_row *row,
    const struct change_foreign_key *key, const struct change_cell *values);
/* Both sets without the conflicts that were decided. */
MUST_CHECK enum err_code merge_rewrite(
    struct merge_round *m, struct strbuf *set, struct strbuf *whole, struct err *err);

#endif
