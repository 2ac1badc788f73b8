/* Shows the verifier a control.db: all checkpoints in the order of their numbers, then chain by chain. */
#include "audit/verify.h"

#include "audit/audit_internal.h"
#include "audit/walk.h"
#include "base/check.h"
#include "base/fs.h"

#define SQL_CHECKPOINTS "SELECT " AUDIT_CHECKPOINT_COLUMN_NAMES " FROM audit_checkpoint ORDER BY number"
#define SQL_CHAINS                                                                                           \
    "SELECT chain FROM audit_chain UNION SELECT chain FROM audit UNION SELECT chain FROM audit_checkpoint "  \
    "ORDER BY 1"
#define SQL_SLUG    "SELECT slug FROM namespace WHERE id = ?1"
#define SQL_HAS_LOG "SELECT 1 FROM sqlite_schema WHERE name = 'audit_checkpoint'"
#define SQL_END     "SELECT seq, hash FROM audit_chain WHERE chain = ?1"

struct run {
    struct db *db;
    const struct audit_verify_options *opt;
    struct audit_verify_result *ret;
};

static void report(struct run *r, const struct audit_verifier *v)
{
    struct audit_chain_report out = {.rows = v->seq,
        .signed_seq = v->signed_seq,
        .checkpoint = v->checkpoint,
        .finding = v->broken ? &v->finding : NULL};

    memcpy(out.chain, v->chain, sizeof out.chain);
    r->ret->broken += v->broken;
    r->opt->on_chain(r->opt->arg, &out);
}

/* --- Checkpoints --- */

static bool is_known(const struct run *r, const struct audit_checkpoint *c)
{
    return c->number == r->opt->known.number && digest_eq(&c->hash, &r->opt->known.hash);
}

static enum err_code show_checkpoints(struct run *r, struct audit_verifier *v, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct audit_head *newest = &r->ret->newest;
    struct audit_checkpoint c;
    bool seen = r->opt->known.number == 0;
    enum err_code code = db_query(r->db, SQL_CHECKPOINTS, DB_NO_ARGS, &st, err);

    while (!code && db_row(&st)) {
        audit_map_checkpoint(&st, &c);
        seen = seen || is_known(r, &c);
        r->ret->checkpoints++;
        if (audit_verifier_number(v, &c))
            (void)audit_verifier_signature(v, &c, &newest->hash); /* v remembers */
        *newest = (struct audit_head){.number = c.number, .hash = c.hash};
    }
    if (!code)
        code = db_done(&st, err);
    if (!code && !seen)
        (void)audit_verifier_fail(v, AUDIT_NOT_HERE); /* as above */
    return code;
}

static enum err_code check_checkpoints(struct run *r, struct err *err)
{
    struct audit_verifier v;

    audit_verifier_init(&v, r->opt->keys, STR_EMPTY);
    enum err_code code = show_checkpoints(r, &v, err);
    if (!code && v.broken)
        report(r, &v);
    return code;
}

/* --- One chain --- */

static bool show_row(void *v, const struct audit_row *row)
{
    return audit_verifier_row(v, row);
}

/* Its signature was checked with those of all others. */
static bool show_checkpoint(void *v, const struct audit_checkpoint *c, const struct digest *before)
{
    (void)before;
    return audit_verifier_checkpoint(v, c);
}

static enum err_code show_end(struct run *r, struct audit_verifier *v, struct str chain, struct err *err)
{
    struct digest hash;
    int64_t seq;
    enum err_code code = audit_walk_end(r->db, chain, &seq, &hash, err);

    if (code && code != ERR_NOT_FOUND)
        return code;
    if (code)
        (void)audit_verifier_fail(v, "the chain's end is not noted"); /* v remembers */
    else
        (void)audit_verifier_end(v, seq, &hash); /* as above */
    return ERR_OK;
}

static enum err_code check_chain(struct run *r, struct str chain, struct err *err)
{
    struct audit_verifier v;
    const struct audit_walk walk = {.row = show_row, .checkpoint = show_checkpoint, .arg = &v};

    audit_verifier_init(&v, r->opt->keys, chain);
    v.on_row = r->opt->on_row;
    v.row_arg = r->opt->row_arg;
    enum err_code code = audit_walk_chain(r->db, chain, &walk, err);
    if (!code)
        code = show_end(r, &v, chain, err);
    if (code)
        return code;
    r->ret->chains++;
    r->ret->rows += v.seq;
    r->ret->unsigned_rows += v.seq - v.signed_seq;
    report(r, &v);
    return ERR_OK;
}

static enum err_code check_chains(struct run *r, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(r->db, SQL_CHAINS, DB_NO_ARGS, &st, err);

    while (!code && db_row(&st))
        code = check_chain(r, db_col_text(&st, 0), err);
    return code ? code : db_done(&st, err);
}

static enum err_code check_all(struct run *r, struct err *err)
{
    enum err_code code = check_checkpoints(r, err);

    if (code)
        return code;
    return r->opt->chain.len ? check_chain(r, r->opt->chain, err) : check_chains(r, err);
}

enum err_code audit_chain_slug(struct db *db, struct str chain, char out[SLUG_SIZE], struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_SLUG, DB_ARGS(db_text(chain)), &st, err);

    if (!code)
        db_col_copy(&st, 0, out, SLUG_SIZE);
    return code;
}

enum err_code audit_open_copy(const char *dir, struct db **ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    char path[FS_PATH_MAX];
    struct db *db = NULL;

    fs_join(path, dir, "control.db");
    enum err_code code = db_open(path, DB_COPY, &db, err);
    if (code)
        return code;
    code = db_query_one(db, SQL_HAS_LOG, DB_NO_ARGS, &st, err);
    db_stmt_release(&st);
    if (!code) {
        *ret = db;
        return ERR_OK;
    }
    db_close(db);
    return code == ERR_NOT_FOUND ? err_set(err, ERR_CONFLICT, "this control database has no audit log")
                                 : code;
}

enum err_code audit_verify_db(
    struct db *db, const struct audit_verify_options *opt, struct audit_verify_result *ret, struct err *err)
{
    struct run r = {.db = db, .opt = opt, .ret = ret};

    *ret = (struct audit_verify_result){.chains = 0};
    enum err_code code =
        db_check_integrity(db, err); /* an index must not hide rows from those who list them */
    if (!code)
        code = tx_begin_read(db, err);
    return code ? code : tx_end(db, check_all(&r, err), err);
}
