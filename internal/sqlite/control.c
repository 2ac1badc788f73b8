/* Opening the control database. */
#include "sqlite/control.h"
#include "sqlite/generation.h"
#include "sqlite/migrate.h"

static int newest(void)
{
    int number = 0;

    for (const struct migration_file *file = migrations_control; file->number != 0; file++)
        number = file->number;
    return number;
}

static enum err_code require_newest(struct db *db, struct err *err)
{
    int version;
    enum err_code code = migrate_version(db, &version, err);

    if (code || version == newest())
        return code;
    return err_set(err, ERR_CONFLICT, "this data has schema %d and this Holdfast works with %d; %s", version,
        newest(),
        version < newest() ? "start the server once, which brings it up to date"
                           : "use the version that wrote it");
}

static enum err_code settle_schema(const struct control *c, enum control_schema schema, struct err *err)
{
    struct db *db = NULL;
    enum err_code code = control_connect(c, DB_WRITE, &db, err);

    if (code)
        return code;
    code = schema == CONTROL_MIGRATE ? migrate_run(db, migrations_control, err) : require_newest(db, err);
    db_close(db);
    return code;
}

static enum err_code require_control_db(const char *data_dir, struct err *err)
{
    char path[FS_PATH_MAX];

    fs_join(path, data_dir, "control.db");
    return fs_exists(path) ? ERR_OK : err_set(err, ERR_NOT_FOUND, "there is no control database here");
}

enum err_code control_open(
    const char *data_dir, enum control_schema schema, struct control *ret, struct err *err)
{
    char path[FS_PATH_MAX];
    struct control c = {.gen = NULL};
    enum err_code code = require_control_db(data_dir, err);

    if (code)
        return code;
    memcpy(c.dir, data_dir, strlen(data_dir) + 1); /* fits: fs_join took it with more behind it */
    fs_join(path, c.dir, "control.gen");
    code = generation_open(path, &c.gen, err);
    if (!code)
        code = settle_schema(&c, schema, err);
    if (code)
        control_close(&c);
    else
        *ret = c;
    return code;
}

void control_close(struct control *c)
{
    generation_close(c->gen);
    c->gen = NULL;
}

enum err_code control_connect(const struct control *c, enum db_mode mode, struct db **ret, struct err *err)
{
    char path[FS_PATH_MAX];

    fs_join(path, c->dir, "control.db");
    enum err_code code = db_open(path, mode, ret, err);
    if (!code)
        db_set_generation(*ret, c->gen);
    return code;
}
