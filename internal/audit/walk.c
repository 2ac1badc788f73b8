#include "audit/walk.h"

#include "audit/audit_internal.h"

/* An integer column may hold what merely reads as that integer. */
#define SQL_ROWS                                                                                             \
    "SELECT " AUDIT_ROW_COLUMNS ", typeof(seq) = 'integer' AND typeof(created_at) = 'integer' FROM audit "   \
    "WHERE chain = ?1 ORDER BY seq"
#define SQL_CHECKPOINTS                                                                                      \
    "SELECT " AUDIT_CHECKPOINT_COLUMN_NAMES                                                                  \
    ", (SELECT b.hash FROM audit_checkpoint b WHERE b.number = c.number - 1) FROM audit_checkpoint c "       \
    "WHERE chain = ?1 ORDER BY seq, number"
#define SQL_END "SELECT seq, hash FROM audit_chain WHERE chain = ?1"

/* The checkpoints of a chain, one ahead. */
struct ahead {
    struct db_stmt st;
    struct audit_checkpoint next;
    struct digest before;
    bool have;
};

static void advance(struct ahead *a)
{
    a->have = db_row(&a->st);
    if (!a->have)
        return;
    audit_map_checkpoint(&a->st, &a->next);
    if (!audit_from_hex(db_col_text(&a->st, AUDIT_CHECKPOINT_COLUMN_COUNT), &a->before))
        a->before = (struct digest){{0}}; /* the first has none before it */
}

/* Those that cover rows up to `seq`. */
static bool show_until(const struct audit_walk *walk, struct ahead *a, int64_t seq)
{
    for (; a->have && a->next.seq <= seq; advance(a))
        if (!walk->checkpoint(walk->arg, &a->next, &a->before))
            return false;
    return true;
}

static enum err_code show(
    struct db_stmt *rows, struct ahead *a, const struct audit_walk *walk, struct err *err)
{
    struct audit_row row;
    bool more = true;

    while (more && db_row(rows)) {
        audit_map_row(rows, &row);
        if (!db_col_int(rows, AUDIT_ROW_COLUMN_COUNT))
            row.hash = (struct digest){{0}};
        more = walk->row(walk->arg, &row) && show_until(walk, a, row.seq);
    }
    if (more)
        (void)show_until(walk, a, INT64_MAX); /* nothing follows */
    enum err_code code = db_done(rows, err);
    return code ? code : db_done(&a->st, err);
}

enum err_code audit_walk_chain(
    struct db *db, struct str chain, const struct audit_walk *walk, struct err *err)
{
    AUTO_STMT rows = DB_STMT_INIT;
    struct ahead a = {.st = DB_STMT_INIT};
    enum err_code code = db_query(db, SQL_ROWS, DB_ARGS(db_text(chain)), &rows, err);

    if (!code)
        code = db_query(db, SQL_CHECKPOINTS, DB_ARGS(db_text(chain)), &a.st, err);
    if (!code) {
        advance(&a);
        code = show(&rows, &a, walk, err);
    }
    db_stmt_release(&a.st);
    return code;
}

enum err_code audit_walk_end(
    struct db *db, struct str chain, int64_t *ret_seq, struct digest *ret_hash, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_END, DB_ARGS(db_text(chain)), &st, err);

    if (code)
        return code;
    *ret_seq = db_col_int(&st, 0);
    if (!audit_from_hex(db_col_text(&st, 1), ret_hash))
        *ret_hash = (struct digest){{0}};
    return ERR_OK;
}
