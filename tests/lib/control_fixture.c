/* Control databases for tests. */
#include "lib/control_fixture.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/strbuf.h"
#include "sqlite/db_internal.h"
#include "sqlite/migrate.h"

enum { TEMPLATE_MOST = 16 << 20 };

const struct actor TEST_ACTOR = {.kind = ACTOR_CLI, .name = {"ada", 3}, .client = {"a test", 6}};

static void make_template(const char *path, struct strbuf *out)
{
    struct db *db = NULL;

    CHECK(db_open(path, DB_CREATE, &db, NULL) == ERR_OK);
    CHECK(migrate_run(db, migrations_control, NULL) == ERR_OK);
    db_close(db);
    strbuf_init(out, TEMPLATE_MOST);
    CHECK(fs_read_all(path, TEMPLATE_MOST, out, NULL) == ERR_OK);
}

/* The migrations run once in a process; each database begins as a copy of what they made. */
static void make_control_db(const struct tmpdir *dir)
{
    static struct strbuf template;
    const char *path = tmpdir_path(dir, "control.db");

    if (!template.limit)
        make_template(path, &template);
    else
        CHECK(fs_write_atomic(path, strbuf_str(&template), 0600, NULL) == ERR_OK);
}

void control_fixture_init(struct control_fixture *fx)
{
    *fx = (struct control_fixture){.db = NULL};
    tmpdir_init(&fx->dir);
    make_control_db(&fx->dir);
    CHECK(control_open(fx->dir.path, CONTROL_CURRENT, &fx->control, NULL) == ERR_OK);
    CHECK(control_connect(&fx->control, DB_WRITE, &fx->db, NULL) == ERR_OK);
    CHECK(tx_begin_write(fx->db, NULL) == ERR_OK);
    CHECK(tenant_create(fx->db, &TEST_ACTOR, S("acme"), S("Acme"), &fx->tenant, NULL) == ERR_OK);
    CHECK(tx_commit(fx->db, NULL) == ERR_OK);
    fx->disk.data_dir = fx->dir.path;
}

void control_fixture_reopen(struct control_fixture *fx)
{
    db_close(fx->db);
    CHECK(control_connect(&fx->control, DB_WRITE, &fx->db, NULL) == ERR_OK);
}

void control_fixture_release(struct control_fixture *fx)
{
    db_close(fx->db);
    control_close(&fx->control);
    tmpdir_release(&fx->dir);
}

static void dump_table(struct db *db, const char *table, struct strbuf *out)
{
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" ORDER BY 1, 2", table);
    sqlite3_stmt *stmt = NULL;

    CHECK(sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL) == SQLITE_OK);
    strbuf_addf(out, "[%s]\n", table);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            strbuf_addf(out, "%s|", sqlite3_column_text(stmt, i));
        strbuf_add_char(out, '\n');
    }
    CHECK(sqlite3_finalize(stmt) == SQLITE_OK);
    sqlite3_free(sql);
}

char *control_fixture_dump(struct control_fixture *fx)
{
    struct strbuf out;
    AUTO_STMT st = DB_STMT_INIT;

    strbuf_init(&out, 1 << 20);
    CHECK(db_query(fx->db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", DB_NO_ARGS,
              &st, NULL) == ERR_OK);
    while (db_row(&st)) {
        char name[64];
        DB_COL_COPY(&st, 0, name);
        dump_table(fx->db, name, &out);
    }
    CHECK(db_done(&st, NULL) == ERR_OK && !strbuf_failed(&out));
    return strbuf_detach(&out, NULL);
}

char *control_fixture_audit(struct control_fixture *fx)
{
    struct strbuf out;
    AUTO_STMT st = DB_STMT_INIT;

    strbuf_init(&out, 1 << 20);
    CHECK(db_query(fx->db, "SELECT action FROM audit WHERE chain = ?1 ORDER BY seq",
              DB_ARGS(db_text(id_str(&fx->tenant.id))), &st, NULL) == ERR_OK);
    while (db_row(&st)) {
        if (out.len)
            strbuf_add_char(&out, ' ');
        strbuf_add_str(&out, db_col_text(&st, 0));
    }
    CHECK(db_done(&st, NULL) == ERR_OK && !strbuf_failed(&out));
    return strbuf_detach(&out, NULL);
}
