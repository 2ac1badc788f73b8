/* See user.h. */
#include "registry/user.h"
#include "registry/registry_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "crypto/digest.h"

#define SQL_FIND                                                                                             \
    "SELECT u.database_id, u.ready_at FROM user_database u JOIN database d ON d.id = u.database_id"          \
    " WHERE u.namespace_id = ?1 AND u.subject_hash = ?2 AND d.status IN ('provisioning', 'healthy')"
#define SQL_PUT                                                                                              \
    "INSERT OR REPLACE INTO user_database(namespace_id, subject_hash, database_id) VALUES(?1, ?2, ?3)"
#define SQL_READY "UPDATE user_database SET ready_at = ?2 WHERE database_id = ?1"

#define MAKING_MS        60000 /* longer than a template takes */
#define SUBJECT_SLUG_HEX 16

/* What is known of the subject's database inside the transaction. */
struct seat {
    struct registry_entry entry;
    bool found, ready;
};

static enum err_code find(
    struct db *db, const struct id *ns, struct str hash, struct seat *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_FIND, DB_ARGS(db_text(id_str(ns)), db_text(hash)), &st, err);

    *ret = (struct seat){.found = false};
    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    ret->found = true;
    ret->ready = !db_col_is_null(&st, 1);
    return store_get(db, db_col_text(&st, 0), &ret->entry, err);
}

static bool fits_name(struct str subject)
{
    return subject.len < REGISTRY_NAME_SIZE;
}

static enum err_code make(struct db *db, const struct actor *by, const struct id *ns, struct str subject,
    struct str hash, struct registry_entry *ret, struct err *err)
{
    char slug[SLUG_SIZE];

    str_print(slug, sizeof slug, "u-%.*s", SUBJECT_SLUG_HEX, hash.ptr);
    enum err_code code =
        registry_create_free(db, by, ns, str_of(slug), fits_name(subject) ? subject : STR_EMPTY, ret, err);
    return code ? code
                : db_exec(db, SQL_PUT, DB_ARGS(db_text(id_str(ns)), db_text(hash), db_text(id_str(&ret->id))),
                      err);
}

static enum err_code open_tx(struct db *db, const struct actor *by, const struct id *ns, struct str subject,
    struct str hash, struct seat *ret, struct err *err)
{
    enum err_code code = find(db, ns, hash, ret, err);

    if (code || ret->found)
        return code;
    return make(db, by, ns, subject, hash, &ret->entry, err);
}

/* A request that began to make it has gone: what it left is put away. An intent holds nothing yet. */
static enum err_code give_up(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct seat *left, struct err *err)
{
    struct registry_entry gone;

    if (left->entry.created_at > clock_wall_ms() - MAKING_MS)
        return err_retry(err, ERR_BUSY, 1, "The database of this subject is being made; try again");
    if (left->entry.status == REGISTRY_PROVISIONING)
        return ERR_OK;
    return registry_delete(db, disk, by, &left->entry.namespace_id, str_of(left->entry.slug), &gone, err);
}

static enum err_code seat_of(struct db *db, const struct actor *by, const struct id *ns, struct str subject,
    struct str hash, struct seat *ret, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    return code ? code : tx_end(db, open_tx(db, by, ns, subject, hash, ret, err), err);
}

enum err_code registry_user_open(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct id *namespace_id, struct str subject, struct registry_entry *ret, bool *ret_made,
    struct err *err)
{
    AUTO_STRBUF hash;
    struct digest d = digest_sha256(subject);
    struct seat seat;

    strbuf_init(&hash, (size_t)2 * DIGEST_BYTES);
    digest_hex(&hash, &d);
    CHECK(!strbuf_failed(&hash));
    enum err_code code = seat_of(db, by, namespace_id, subject, strbuf_str(&hash), &seat, err);
    if (!code && seat.found && !seat.ready) {
        bool intent = seat.entry.status == REGISTRY_PROVISIONING;
        code = give_up(db, disk, by, &seat, err);
        if (!code && !intent)
            code = seat_of(db, by, namespace_id, subject, strbuf_str(&hash), &seat, err);
    }
    if (!code && !seat.ready)
        code = registry_create_finish(db, disk, &seat.entry, err);
    if (code)
        return code;
    *ret = seat.entry;
    *ret_made = !seat.ready;
    return ERR_OK;
}

enum err_code registry_user_ready(struct db *db, const struct id *database_id, struct err *err)
{
    CHECK(tx_is_write(db));
    return db_exec(db, SQL_READY, DB_ARGS(db_text(id_str(database_id)), db_int(clock_wall_ms())), err);
}
