/* Running a write for real, inside a savepoint of its own, and telling what it did. The clock and the dice of
 * SQL are held, so that the same write over the same rows does the same. Inside the handler of a write;
 * engine's thread. */
#ifndef ENGINE_REHEARSAL_H
#define ENGINE_REHEARSAL_H

#include "engine/change_foreign.h"
#include "engine/change_record.h"
#include "engine/op.h"
#include "engine/schema_state.h"

struct rehearsal {
    struct op *op;
    int64_t clock_ms;
    uint64_t dice;
    struct recorder recorder;
    struct strbuf set;    /* what it did to rows */
    struct strbuf result; /* what it answered: the JSON of a query's or batch's data */
    struct strbuf diff;   /* what it did to the schema */
    struct digest schema; /* before it ran */
    int64_t schema_version;
    struct str broken;   /* JSON array: invariants that would not hold; ptr NULL: nobody asked */
    struct str undo;     /* JSON: how a change of the schema is taken back; ptr NULL: it is not */
    struct digest rules; /* rules_version, when it was hashed */
    struct digest hash;  /* of all that */
    int64_t affected, duration_us;
    bool time_asked, dice_asked;
    bool changes_schema;
    /* As QUERY or BATCH ask for it, not as one transaction: what comes before a statement that fails may
     * stay, and then `failed` tells how it failed. */
    bool as_asked;
    struct str unseen; /* with as_asked: a new table that has rows which nobody inserted; ptr NULL none */
    struct rehearsal_failure {
        enum err_code code; /* ERR_OK: none did */
        struct err err;
        struct str detail;
        int statement;
    } failed;
    change_foreign_fn
        *foreign; /* of a change set: rows that break foreign keys are conflicts; NULL: an error */
    /* Tables that it removes, with their rows: known before it runs, or counted by rehearsal_take_back. */
    struct schema_rows *removed;
    struct schema_object *before, *after;
};

void rehearsal_init(struct rehearsal *r, struct op *op, int64_t clock_ms, uint64_t dice);
void rehearsal_release(struct rehearsal *r);

/* The request of the call's task (exec_take). On success its effects stand until one of the next two is
 * called; after an error nothing of them is left, unless the whole transaction is gone. */
MUST_CHECK enum err_code rehearsal_run(struct rehearsal *r, struct err *err);
/* The same for a change set. *ret_conflicts > 0: nothing was done; `fn`, or r->foreign, was called for each.
 */
struct change_conflict;
MUST_CHECK enum err_code rehearsal_run_set(struct rehearsal *r, struct str set,
    void (*fn)(void *arg, const struct change_conflict *c), void *arg, uint64_t *ret_conflicts,
    struct err *err);
/* The same for work that changes the schema too, and rows by change sets: all but `after` is recorded. */
struct rehearsal_work {
    enum err_code (*before)(void *arg, struct rehearsal *r, struct err *err);
    enum err_code (*write)(void *arg, uint64_t *ret_conflicts, struct err *err);
    enum err_code (*check)(void *arg, uint64_t *ret_conflicts, struct err *err); /* NULL: none */
    enum err_code (*after)(void *arg, struct rehearsal *r, struct err *err);
    void *arg;
};
MUST_CHECK enum err_code rehearsal_run_work(
    struct rehearsal *r, const struct rehearsal_work *work, uint64_t *ret_conflicts, struct err *err);
/* Its effects stay, or are taken back and those of the call before it stay. */
MUST_CHECK enum err_code rehearsal_keep(struct rehearsal *r, struct err *err);
MUST_CHECK enum err_code rehearsal_take_back(struct rehearsal *r, struct err *err);

/* ERR_INVALID: what is said of rows that were not seen coming. */
enum err_code rehearsal_cannot_show(struct str table, struct err *err);

/* What the write did to the schema, before it is taken back: fills `after` and `unseen`. */
MUST_CHECK enum err_code rehearsal_look(struct rehearsal *r, struct err *err);

/* Fills `hash`; once more after rehearsal_take_back, which may have counted what is lost. */
MUST_CHECK enum err_code rehearsal_hash(struct rehearsal *r, struct err *err);

#endif
