/* Files in the engine's directory, and a second connection over one that is not trusted. */
#include "engine/scratch_db.h"
#include "base/strbuf.h"
#include "engine/engine_dir.h"
#include "engine/task.h"

enum { URI_BYTES_MAX = 3 * FS_PATH_MAX + 32 };

void engine_dir_path(struct op *op, const char *name, char out[FS_PATH_MAX])
{
    fs_join(out, op->eng->cfg.dir, name);
}

/* "immutable" can be said in a URI alone; what would end its path is escaped. */
static void make_uri(struct strbuf *out, const char *path)
{
    strbuf_add_cstr(out, "file:");
    for (const char *p = path; *p; p++) {
        if (*p == '%' || *p == '?' || *p == '#')
            strbuf_addf(out, "%%%02x", (unsigned)(unsigned char)*p);
        else
            strbuf_add_char(out, *p);
    }
    strbuf_add_cstr(out, "?immutable=1");
}

enum err_code scratch_db_open(struct op *op, const char *path, sqlite3 **ret, struct err *err)
{
    AUTO_STRBUF uri;
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_NOMUTEX;
    strbuf_init(&uri, URI_BYTES_MAX);
    make_uri(&uri, path);
    int rc = sqlite3_open_v2(strbuf_cstr(&uri), &db, flags, VFS_NAME);
    if (rc != SQLITE_OK) {
        (void)sqlite3_close(db); /* no statement is open */
        return err_set(err, ERR_INVALID, "the file cannot be opened as a database: %s", sqlite3_errstr(rc));
    }
    enum err_code code = engine_recipe(op->eng, db, err);
    if (code) {
        (void)sqlite3_close(db); /* no statement is open */
        return code;
    }
    guard_watch(&op->eng->guard, db);
    engine_watch_time(op->eng, db);
    *ret = db;
    return ERR_OK;
}
