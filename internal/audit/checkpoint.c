/* Signing, and noticing that what was signed is gone. */
#include "audit/checkpoint.h"

#include "audit/audit_internal.h"
#include "audit/key.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/fs.h"

#define DUE_AT_ONCE 64 /* chains signed in one transaction: others want to write too */

#define SQL_DUE                                                                                              \
    "SELECT chain, seq, hash FROM audit_chain WHERE unsigned_at IS NOT NULL AND unsigned_at <= ?1 ORDER BY " \
    "unsigned_at LIMIT ?2"
#define SQL_HEAD "SELECT number, hash FROM audit_checkpoint ORDER BY number DESC LIMIT 1"
#define SQL_HAS  "SELECT 1 FROM audit_checkpoint WHERE number = ?1 AND hash = ?2"
#define SQL_INSERT                                                                                           \
    "INSERT INTO audit_checkpoint(" AUDIT_CHECKPOINT_COLUMN_NAMES ")"                                        \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
#define SQL_SIGNED "UPDATE audit_chain SET signed_seq = ?2, unsigned_at = NULL WHERE chain = ?1 AND seq = ?2"
#define SQL_LAST_KEY                                                                                         \
    "SELECT target_id FROM audit WHERE chain = ?1 AND action = ?2 ORDER BY created_at DESC LIMIT 1"

/* --- The newest checkpoint, in the file and beside it --- */

void audit_head_text(const struct audit_head *head, char out[AUDIT_HEAD_SIZE])
{
    char hex[AUDIT_HEX_SIZE];

    audit_hex(&head->hash, hex);
    str_print(out, AUDIT_HEAD_SIZE, "%lld:%s", (long long)head->number, hex);
}

bool audit_head_parse(struct str text, struct audit_head *ret)
{
    struct audit_head head;
    struct str rest = str_trim(text), number;

    if (!str_cut(&rest, ':', &number) || !rest.ptr || !str_to_i64(number, 1, INT64_MAX, &head.number) ||
        !audit_from_hex(rest, &head.hash))
        return false;
    *ret = head;
    return true;
}

enum err_code audit_head_read(const char *dir, struct audit_head *ret, struct err *err)
{
    AUTO_STRBUF text;
    char path[FS_PATH_MAX];

    strbuf_init(&text, AUDIT_HEAD_SIZE);
    fs_join(path, dir, AUDIT_HEAD_FILE);
    *ret = (struct audit_head){.number = 0};
    if (!fs_exists(path))
        return ERR_OK;
    enum err_code code = fs_read_all(path, AUDIT_HEAD_SIZE, &text, err);
    if (!code && !audit_head_parse(strbuf_str(&text), ret))
        code = err_set(err, ERR_CORRUPT, AUDIT_HEAD_FILE " is damaged; without it, a new one is written");
    return code;
}

static enum err_code write_head(const char *dir, const struct audit_head *head, struct err *err)
{
    char path[FS_PATH_MAX], text[AUDIT_HEAD_SIZE + 1];
    size_t len;

    fs_join(path, dir, AUDIT_HEAD_FILE);
    audit_head_text(head, text);
    len = strlen(text);
    text[len] = '\n';
    return fs_write_atomic(path, str_make(text, len + 1), 0600, err);
}

enum err_code audit_head_get(struct db *db, struct audit_head *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_HEAD, DB_NO_ARGS, &st, err);

    *ret = (struct audit_head){.number = 0};
    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    ret->number = db_col_int(&st, 0);
    if (!audit_from_hex(db_col_text(&st, 1), &ret->hash))
        return err_set(err, ERR_CORRUPT, AUDIT_DAMAGED);
    return ERR_OK;
}

static enum err_code has_checkpoint(struct db *db, const struct audit_head *head, bool *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    char hex[AUDIT_HEX_SIZE];

    audit_hex(&head->hash, hex);
    enum err_code code =
        db_query_one(db, SQL_HAS, DB_ARGS(db_int(head->number), db_text(str_of(hex))), &st, err);
    *ret = code == ERR_OK;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* --- Signing --- */

static enum err_code insert(struct db *db, const struct sign_key *key, const struct digest *before,
    struct audit_checkpoint *c, struct err *err)
{
    AUTO_STRBUF signature;
    char hash[AUDIT_HEX_SIZE];

    c->hash = audit_checkpoint_digest(before, c);
    c->signature = sign_make(key, digest_str(&c->hash));
    audit_hex(&c->hash, hash);
    strbuf_init(&signature, (size_t)2 * SIGNATURE_BYTES);
    enc_hex(&signature, str_make(c->signature.bytes, SIGNATURE_BYTES));
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_int(c->number), db_text(c->chain), db_int(c->seq), db_text(c->row_hash),
            db_int(c->created_at), db_text(c->key_id), db_text(str_of(hash)),
            db_text(strbuf_str(&signature))),
        err);
}

enum err_code audit_store_sign(struct db *db, const struct sign_key *key, struct str chain, int64_t seq,
    struct str row_hash, struct err *err)
{
    char key_id[AUDIT_KEY_ID_SIZE];
    struct audit_head head;

    CHECK(tx_is_write(db));
    enum err_code code = audit_head_get(db, &head, err);
    if (code)
        return code;
    audit_key_id(key, key_id);
    struct audit_checkpoint c = {.number = head.number + 1,
        .chain = chain,
        .seq = seq,
        .row_hash = row_hash,
        .created_at = clock_wall_ms(),
        .key_id = str_of(key_id)};
    code = insert(db, key, &head.hash, &c, err);
    if (!code)
        code = db_exec(db, SQL_SIGNED, DB_ARGS(db_text(chain), db_int(seq)), err);
    if (!code && db_changes(db) != 1)
        code = err_set(err, ERR_CORRUPT, AUDIT_DAMAGED);
    return code;
}

struct due {
    char chain[ID_MAX], hash[AUDIT_HEX_SIZE];
    int64_t seq;
};

static enum err_code read_due(
    struct db *db, int64_t until_ms, struct due *ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(db, SQL_DUE, DB_ARGS(db_int(until_ms), db_int(DUE_AT_ONCE)), &st, err);

    *ret_count = 0;
    while (!code && *ret_count < DUE_AT_ONCE && db_row(&st)) {
        struct due *due = &ret[(*ret_count)++];
        DB_COL_COPY(&st, 0, due->chain);
        due->seq = db_col_int(&st, 1);
        DB_COL_COPY(&st, 2, due->hash);
    }
    return code ? code : db_done(&st, err);
}

static enum err_code sign_some(
    struct db *db, const struct sign_key *key, int64_t until_ms, size_t *ret_count, struct err *err)
{
    struct due due[DUE_AT_ONCE];
    enum err_code code = read_due(db, until_ms, due, ret_count, err);

    for (size_t i = 0; !code && i < *ret_count; i++)
        code = audit_store_sign(db, key, str_of(due[i].chain), due[i].seq, str_of(due[i].hash), err);
    return code;
}

static enum err_code sign_most(
    struct db *db, const char *data_dir, int64_t until_ms, size_t most, struct err *err)
{
    struct sign_key *key = NULL;
    size_t count = DUE_AT_ONCE;
    enum err_code code = audit_key_load(data_dir, &key, err);

    for (size_t done = 0; !code && count == DUE_AT_ONCE && done < most; done += DUE_AT_ONCE) {
        code = tx_begin_write(db, err);
        if (!code)
            code = tx_end(db, sign_some(db, key, until_ms, &count, err), err);
    }
    sign_key_free(key);
    return code;
}

static enum err_code any_due(struct db *db, int64_t until_ms, bool *ret, struct err *err)
{
    struct due due[DUE_AT_ONCE];
    size_t count;
    enum err_code code = read_due(db, until_ms, due, &count, err);

    *ret = !code && count > 0;
    return code;
}

/* A file that knows more than control.db does stays as it is: the next start looks into that. */
static enum err_code note_head(
    struct db *db, const char *data_dir, struct audit_head *ret_head, struct err *err)
{
    struct audit_head noted = {.number = 0};
    enum err_code code = audit_head_get(db, ret_head, err);

    if (!code)
        code = audit_head_read(data_dir, &noted, err);
    return code || noted.number >= ret_head->number ? code : write_head(data_dir, ret_head, err);
}

enum err_code audit_sign(struct db *db, const char *data_dir, int64_t until_ms, size_t most,
    struct audit_head *ret_head, struct err *err)
{
    bool due;
    enum err_code code = any_due(db, until_ms, &due, err);

    if (!code && due)
        code = sign_most(db, data_dir, until_ms, most, err);
    return code ? code : note_head(db, data_dir, ret_head, err);
}

/* --- The server's start --- */

/* Which key was the last to be announced? */
static enum err_code is_announced(struct db *db, const char *key_id, bool *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_LAST_KEY,
        DB_ARGS(db_text(S(AUDIT_SERVER)), db_text(str_of(audit_actions[AUDIT_AUDIT_KEY_USED].action))), &st,
        err);

    *ret = !code && str_eq(db_col_text(&st, 0), str_of(key_id));
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code announce_key(
    struct db *db, const struct actor *by, const char *data_dir, struct err *err)
{
    char key_id[AUDIT_KEY_ID_SIZE];
    struct sign_key *key = NULL;
    bool announced;
    enum err_code code = audit_key_load(data_dir, &key, err);

    if (code)
        return code;
    audit_key_id(key, key_id);
    sign_key_free(key);
    code = is_announced(db, key_id, &announced, err);
    if (code || announced)
        return code;
    return audit_append(db,
        &(struct audit_event){.by = by, .action = AUDIT_AUDIT_KEY_USED, .target_id = str_of(key_id)}, err);
}

static enum err_code look_back(struct db *db, const char *data_dir, struct audit_start *ret, struct err *err)
{
    bool has = true;
    enum err_code code = audit_head_read(data_dir, &ret->known, err);

    if (!code)
        code = audit_head_get(db, &ret->newest, err);
    if (!code && ret->known.number)
        code = has_checkpoint(db, &ret->known, &has, err);
    ret->rolled_back = !has;
    return code;
}

static enum err_code record_roll_back(
    struct db *db, const struct actor *by, const struct audit_start *start, struct err *err)
{
    char known[AUDIT_HEAD_SIZE], newest[AUDIT_HEAD_SIZE];

    audit_head_text(&start->known, known);
    audit_head_text(&start->newest, newest);
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = AUDIT_AUDIT_ROLLED_BACK,
            .target_id = S(AUDIT_SERVER),
            .before = AUDIT_VALUES(audit_text("checkpoint", str_of(known))),
            .after = AUDIT_VALUES(audit_text("checkpoint", str_of(newest)))},
        err);
}

static enum err_code begin_in_tx(
    struct db *db, const char *data_dir, struct audit_start *ret, struct err *err)
{
    const struct actor server = actor_server();
    enum err_code code = look_back(db, data_dir, ret, err);

    if (!code && ret->rolled_back)
        code = record_roll_back(db, &server, ret, err);
    return code ? code : announce_key(db, &server, data_dir, err);
}

enum err_code audit_begin(struct db *db, const char *data_dir, struct audit_start *ret, struct err *err)
{
    enum err_code code = audit_key_ensure(data_dir, err);

    if (!code)
        code = tx_begin_write(db, err);
    if (!code)
        code = tx_end(db, begin_in_tx(db, data_dir, ret, err), err);
    if (!code)
        code = audit_sign(db, data_dir, INT64_MAX, AUDIT_SIGN_ALL, &ret->head, err);
    /* A roll-back is on record now, in a row that is signed. */
    return !code && ret->rolled_back ? write_head(data_dir, &ret->head, err) : code;
}
