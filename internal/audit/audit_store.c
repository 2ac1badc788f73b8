/* The chains in control.db. */
#include "audit/audit_internal.h"
#include "audit/key.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/fs.h"
#include "base/limits.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO audit(" AUDIT_ROW_COLUMNS ")"                                                               \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
#define SQL_END "SELECT seq, created_at, hash, signed_seq FROM audit_chain WHERE chain = ?1"
#define SQL_SET_END                                                                                          \
    "INSERT INTO audit_chain(chain, seq, created_at, hash, signed_seq, unsigned_at)"                         \
    " VALUES(?1, ?2, ?3, ?4, 0, ?3)"                                                                         \
    " ON CONFLICT(chain) DO UPDATE SET seq = excluded.seq, created_at = excluded.created_at,"                \
    " hash = excluded.hash, unsigned_at = coalesce(audit_chain.unsigned_at, excluded.unsigned_at)"

void audit_map_row(const struct db_stmt *st, struct audit_row *ret)
{
    int column = 0;

#define TEXT_AT(i)                 db_col_text(st, i)
#define INT_AT(i)                  db_col_int(st, i)
#define COLUMN(member, kind, name) ret->member = kind##_AT(column++);
    AUDIT_COLUMNS(COLUMN)
#undef COLUMN
    CHECK(column == AUDIT_ROW_COLUMN_COUNT - 1);
    if (!audit_from_hex(db_col_text(st, column), &ret->hash))
        ret->hash = (struct digest){{0}};
}

void audit_map_checkpoint(const struct db_stmt *st, struct audit_checkpoint *ret)
{
    int column = 0;
    size_t len;

#define COLUMN(member, kind, name) ret->member = kind##_AT(column++);
    AUDIT_CHECKPOINT_COLUMNS(COLUMN)
#undef COLUMN
#undef INT_AT
#undef TEXT_AT
    if (!audit_from_hex(db_col_text(st, column), &ret->hash))
        ret->hash = (struct digest){{0}};
    if (!dec_hex(db_col_text(st, column + 1), ret->signature.bytes, SIGNATURE_BYTES, &len) ||
        len != SIGNATURE_BYTES)
        ret->signature = (struct signature){{0}};
}

/* Where a chain ends. */
struct chain_end {
    int64_t seq, created_at, signed_seq;
    struct digest hash;
};

static enum err_code read_end(struct db *db, struct str chain, struct chain_end *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_END, DB_ARGS(db_text(chain)), &st, err);

    *ret = (struct chain_end){.seq = 0};
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    if (code)
        return code;
    ret->seq = db_col_int(&st, 0);
    ret->created_at = db_col_int(&st, 1);
    ret->signed_seq = db_col_int(&st, 3);
    if (ret->seq < 0 || ret->seq == INT64_MAX || ret->created_at >= CLOCK_WALL_MS_END)
        return err_set(err, ERR_CORRUPT, AUDIT_DAMAGED);
    return audit_from_hex(db_col_text(&st, 2), &ret->hash) ? ERR_OK
                                                           : err_set(err, ERR_CORRUPT, AUDIT_DAMAGED);
}

static enum err_code insert_row(struct db *db, const struct audit_row *row, struct str hash, struct err *err)
{
#define TEXT_OF(v)                 db_text(v)
#define INT_OF(v)                  db_int(v)
#define COLUMN(member, kind, name) kind##_OF(row->member),
    return db_exec(db, SQL_INSERT, DB_ARGS(AUDIT_COLUMNS(COLUMN) db_text(hash)), err);
#undef COLUMN
#undef INT_OF
#undef TEXT_OF
}

/* The key lies beside the database. */
static enum err_code load_key(struct db *db, struct sign_key **ret)
{
    char dir[FS_PATH_MAX];
    const char *path = db_path(db), *slash = strrchr(path, '/');

    CHECK(slash && (size_t)(slash - path) < sizeof dir);
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    return audit_key_load(dir, ret, NULL);
}

/* A key that cannot be read stops no change: the rows stand, the server's clock tries again and complains,
 * and verifying tells. */
static enum err_code sign_if_due(
    struct db *db, const struct audit_row *row, struct str hash, const struct chain_end *end, struct err *err)
{
    struct sign_key *key = NULL;

    if (row->seq - end->signed_seq < LIMIT_AUDIT_CHECKPOINT_ROWS || load_key(db, &key) != ERR_OK)
        return ERR_OK;
    enum err_code code = audit_store_sign(db, key, row->chain, row->seq, hash, err);
    sign_key_free(key);
    return code;
}

static enum err_code store(
    struct db *db, const struct audit_row *row, const struct chain_end *end, struct err *err)
{
    char hex[AUDIT_HEX_SIZE];
    struct digest digest = audit_row_digest(&end->hash, row);

    audit_hex(&digest, hex);
    struct str hash = str_of(hex);
    enum err_code code = insert_row(db, row, hash, err);
    if (!code)
        code = db_exec(db, SQL_SET_END,
            DB_ARGS(db_text(row->chain), db_int(row->seq), db_int(row->created_at), db_text(hash)), err);
    return code ? code : sign_if_due(db, row, hash, end, err);
}

enum err_code audit_store_append(struct db *db, const struct audit_row *in, struct err *err)
{
    struct audit_row row = *in;
    struct chain_end end;
    struct id id = id_new("aud");
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db));
    enum err_code code = read_end(db, row.chain, &end, err);
    if (code)
        return code;
    row.id = id_str(&id);
    row.seq = end.seq + 1;
    row.created_at = now > end.created_at ? now : end.created_at + 1;
    return store(db, &row, &end, err);
}
