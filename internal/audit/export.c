/* Writing an export. */
#include "audit/ndjson.h"

#include "audit/audit_internal.h"
#include "audit/walk.h"
#include "base/enc.h"
#include "json/jsonw.h"

#define SQL_CHAINS "SELECT chain FROM audit_chain ORDER BY chain"

struct export
{
    struct db *db;
    bool (*write)(void *arg, struct str line);
    void *arg;
    struct strbuf line;
    struct jsonw json;
    enum err_code code; /* of the first line that could not be written */
    struct err *err;
};

/* --- Lines --- */

static struct jsonw *begin(struct export *x)
{
    strbuf_reset(&x->line);
    jsonw_init(&x->json, &x->line);
    jsonw_object(&x->json);
    return &x->json;
}

static bool end(struct export *x)
{
    jsonw_object_end(&x->json);
    strbuf_add_char(&x->line, '\n');
    if (strbuf_failed(&x->line))
        x->code = err_set(x->err, ERR_TOO_LARGE, "a row of the audit log is too large to be one of ours");
    else if (!x->write(x->arg, strbuf_str(&x->line)))
        x->code = err_errno(x->err, ERR_IO, "writing the export");
    return x->code == ERR_OK;
}

static void member_TEXT(struct jsonw *w, const char *name, struct str text)
{
    jsonw_key(w, name);
    if (text.ptr)
        jsonw_text(w, text);
    else
        jsonw_null(w);
}

static void member_INT(struct jsonw *w, const char *name, int64_t value)
{
    JSONW_INT(w, name, value);
}

static void member_hash(struct jsonw *w, const char *name, const struct digest *hash)
{
    char hex[AUDIT_HEX_SIZE];

    audit_hex(hash, hex);
    JSONW_CSTR(w, name, hex);
}

static bool write_row(void *arg, const struct audit_row *row)
{
    struct export *x = arg;
    struct jsonw *w = begin(x);

#define COLUMN(member, kind, name) member_##kind(w, name, row->member);
    AUDIT_COLUMNS(COLUMN)
#undef COLUMN
    member_hash(w, "hash", &row->hash);
    return end(x);
}

static bool write_checkpoint(void *arg, const struct audit_checkpoint *c, const struct digest *before)
{
    AUTO_STRBUF signature;
    struct export *x = arg;
    struct jsonw *w = begin(x);

    strbuf_init(&signature, (size_t)2 * SIGNATURE_BYTES);
    enc_hex(&signature, str_make(c->signature.bytes, SIGNATURE_BYTES));
#define COLUMN(member, kind, name) member_##kind(w, name, c->member);
    AUDIT_CHECKPOINT_COLUMNS(COLUMN)
#undef COLUMN
    member_hash(w, "before", before);
    member_hash(w, "hash", &c->hash);
    JSONW_TEXT(w, "signature", strbuf_str(&signature));
    return end(x);
}

static bool write_begin(struct export *x, struct str chain)
{
    struct jsonw *w = begin(x);

    JSONW_INT(w, "holdfastAudit", 1);
    JSONW_TEXT(w, "chain", chain);
    return end(x);
}

static bool write_end(struct export *x, struct str chain, int64_t seq, const struct digest *hash)
{
    struct jsonw *w = begin(x);

    JSONW_TEXT(w, "chain", chain);
    JSONW_INT(w, "endSeq", seq);
    member_hash(w, "endHash", hash);
    return end(x);
}

static enum err_code write_chain(struct export *x, struct str chain)
{
    const struct audit_walk walk = {.row = write_row, .checkpoint = write_checkpoint, .arg = x};
    struct digest hash;
    int64_t seq;
    enum err_code code = audit_walk_end(x->db, chain, &seq, &hash, x->err);

    if (code == ERR_NOT_FOUND)
        return err_set(
            x->err, code, "there is no audit log of " STR_FMT, STR_ARG(str_slice(chain, 0, ID_MAX)));
    if (!code && write_begin(x, chain))
        code = audit_walk_chain(x->db, chain, &walk, x->err);
    if (!code && !x->code)
        (void)write_end(x, chain, seq, &hash); /* x remembers */
    return code ? code : x->code;
}

static enum err_code write_all(struct export *x)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(x->db, SQL_CHAINS, DB_NO_ARGS, &st, x->err);

    while (!code && db_row(&st))
        code = write_chain(x, db_col_text(&st, 0));
    return code ? code : db_done(&st, x->err);
}

enum err_code audit_export(
    struct db *db, struct str chain, bool (*write)(void *arg, struct str line), void *arg, struct err *err)
{
    struct export x = {.db = db, .write = write, .arg = arg, .err = err};
    enum err_code code = tx_begin_read(db, err);

    if (code)
        return code;
    strbuf_init(&x.line, AUDIT_LINE_MAX);
    code = tx_end(db, chain.len ? write_chain(&x, chain) : write_all(&x), err);
    strbuf_release(&x.line);
    return code;
}
