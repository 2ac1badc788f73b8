/* One call on its way through a turn: what the wire brought, what its handler writes, how it ended. */
#ifndef ENGINE_TASK_H
#define ENGINE_TASK_H

#include "base/id.h"
#include "engine/engine_state.h"

struct exec_request;
struct jsonr_value;

struct task {
    struct op op;
    struct arena arena;
    struct strbuf body;
    struct jsonw w;
    struct id log_id;

    const struct jsonr_value *claims; /* of the token, NULL none */
    struct exec_request *request;     /* QUERY and BATCH: the parsed body */
    bool gave_way;                    /* its rehearsal held up others: it goes to a reader engine */
    bool keyed;                       /* carries an Idempotency-Key or a Plan-Key */
    bool write;                       /* goes the way of the group commit */
    bool under_policies;              /* runs on the connection for these: seat.c */
    bool finished;                    /* rc, err and body are final */
    bool keep_effects;                /* failed, but what it did before stays (batch without a transaction) */
    bool wrote;         /* a statement ran that may write, also in an earlier try that is gone on from */
    bool asks_snapshot; /* failed, because a snapshot is to be made before it */
    bool replayed;      /* body is a stored answer */
    bool sealed;        /* task_succeed has completed the body */
    bool streamed;      /* op_stream sent its head */
    int64_t changes;    /* rows that the statements themselves changed, triggers aside */

    /* A batch without a transaction that goes on where an earlier try failed (receipts.c): statements that
     * are done, and their results as JSON, in arena memory. */
    size_t done_count;
    struct str done_results;

    enum err_code rc;
    struct err err;
    int64_t used_us;

    /* The statement that ended everybody's transaction: it is not run again, its error is told from here. */
    bool culprit;
    bool culprit_partial; /* a batch without a transaction: what stands before culprit_step is run again */
    int culprit_step;     /* its index in the batch, -1 for a single statement */
    struct err culprit_err;
    bool culprit_asks; /* it was taken back for want of a snapshot */
    struct str culprit_destroys;
    bool culprit_drops;
    struct str culprit_detail, culprit_hits, culprit_invariant;
};

static inline struct task *task_of(struct op *op)
{
    return CONTAINER_OF(op, struct task, op);
}

void task_init(struct task *t, struct engine *eng);
void task_release(struct task *t);
/* Ready for another call, or for another try of the same one. */
void task_clear(struct task *t);
void task_rewind(struct task *t);

/* reply.c: the envelope. task_begin writes what stands before "data"; task_succeed what follows it, once;
 * task_fail replaces the body by the error. task_send puts the frames into the channel. */
void task_begin(struct task *t);
MUST_CHECK enum err_code task_succeed(struct task *t, struct err *err);
void task_fail(struct task *t);
void task_send(struct task *t);

/* exec.c: parses the body of QUERY or BATCH and finds out whether it writes. */
MUST_CHECK enum err_code exec_parse(struct task *t, struct err *err);
MUST_CHECK enum err_code exec_classify(struct task *t, struct err *err);
void exec_release(struct task *t);
/* The same of a request that stands elsewhere: one statement, or a batch as one transaction. */
MUST_CHECK enum err_code exec_take(
    struct task *t, const struct jsonr_value *root, bool batch, struct err *err);
/* The call that runs next has written nothing: what SQL's functions tell it of rows that were written. */
void exec_forget_counts(struct engine *eng);
/* As one transaction, or as the request says. */
MUST_CHECK enum err_code exec_run_whole(struct task *t, struct err *err);
MUST_CHECK enum err_code exec_run_asked(struct task *t, struct err *err);
size_t exec_count(const struct task *t);
bool exec_is_batch(const struct task *t);
struct str exec_sql(const struct task *t, size_t i);
/* exec_check.c: after a statement that changed the schema. */
MUST_CHECK enum err_code exec_check_schema(struct op *op, const struct cached *c, struct err *err);
/* Foreign keys that wait for the commit: they must hold at the end of each call. `sql` is for the hint. */
MUST_CHECK enum err_code op_check_deferred(struct op *op, struct str sql, struct err *err);
/* The SQL for the query log: statements joined by ";\n", cut at a character boundary; "" for other ops. Arena
 * memory. */
struct str exec_text(struct task *t, size_t max);

/* receipts.c: answers kept for Idempotency-Key and Plan-Key. receipts_find sets *ret_found and fills body and
 * head, or done_count and done_results. ERR_KEY_REUSED: the key belongs to another request. */
MUST_CHECK enum err_code receipts_find(struct task *t, bool *ret_found, struct err *err);
MUST_CHECK enum err_code receipts_store(struct task *t, struct err *err);
MUST_CHECK enum err_code receipts_store_part(
    struct task *t, size_t done, struct str results, struct err *err); /* of a keyed batch that fails */
void receipts_purge(struct engine *eng);

enum { TURN_TASKS_MAX = 128 };

/* turn_tasks.c */
void turn_init(struct engine *eng);
void turn_release(struct engine *eng);
struct task *turn_task_at(struct engine *eng, size_t i);
/* Gives memory back when the engine is quiet. */
void turn_trim(struct engine *eng);

/* turn.c */
/* Everything that waits, once: reads, writes, answers. ERR_INVALID: the front spoke nonsense. */
MUST_CHECK enum err_code turn_run(struct engine *eng, struct err *err);

/* op_table.c: the handler of an op; NULL: this build has none. */
op_fn *op_handler(enum wire_op op);

#endif
