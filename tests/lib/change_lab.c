/* The database of random writes. */
#include "lib/change_lab.h"
#include "engine/change_view.h"
#include "json/jsonw.h"
#include "lib/unit.h"

static const char SCHEMA[] =
    "CREATE TABLE plain (a, b, c);"
    "CREATE TABLE ids (id INTEGER PRIMARY KEY, name TEXT, n REAL, u UNIQUE);"
    "CREATE TABLE named (name TEXT PRIMARY KEY COLLATE NOCASE, v, w);"
    "CREATE TABLE pairs (a, b, v, PRIMARY KEY (a, b)) WITHOUT ROWID;"
    "CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, x, twice AS (x * 2), kept AS (x + 1) STORED, "
    "y);"
    "CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, rowid TEXT, v);"
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, v);"
    "CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v);"
    "CREATE TABLE loose (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE SET NULL, v);"
    "CREATE TABLE log (what, old, new);"
    "CREATE TRIGGER ids_log AFTER UPDATE ON ids BEGIN INSERT INTO log VALUES ('ids', old.name, new.name); "
    "END;"
    "CREATE TRIGGER named_gone AFTER DELETE ON named BEGIN UPDATE plain SET c = old.name WHERE a = old.v; "
    "END;"
    "CREATE VIRTUAL TABLE words USING fts5(title, body);";

static const char *const TABLES[] = {
    "plain", "ids", "named", "pairs", "made", "descending", "parent", "child", "loose", "log", "words"};
/* What tells the rows of a table apart, for the comparison of two states. */
static const char *const SELECTS[] = {
    "rowid, *", "*", "rowid, *", "*", "id, x, y", "_rowid_, *", "*", "*", "*", "rowid, *", "rowid, *"};

/* The same without row ids that nobody named, in an order of their own. */
static const char *const BARE[] = {
    "rowid, *", "*", "*", "*", "id, x, y", "*", "*", "*", "*", "rowid, *", "rowid, *"};

uint64_t change_lab_draw(struct change_lab *f, uint64_t below)
{
    f->seed ^= f->seed << 13;
    f->seed ^= f->seed >> 7;
    f->seed ^= f->seed << 17;
    return f->seed % below;
}

static int sql(struct change_lab *f, const char *text)
{
    return sqlite3_exec(f->eng.db, text, NULL, NULL, NULL);
}

void change_lab_sql(struct change_lab *f, const char *text)
{
    int rc = sql(f, text);
    if (rc != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(f->eng.db));
}

static int authorize(
    void *arg, int action, const char *first, const char *second, const char *database, const char *accessor)
{
    struct change_lab *f = arg;
    (void)database;
    (void)accessor;
    if (action == SQLITE_UPDATE && f->recorder.db)
        recorder_assigns(&f->recorder, first, second);
    return SQLITE_OK;
}

void change_lab_open(struct change_lab *f)
{
    *f = (struct change_lab){.seed = UINT64_C(88172645463325252)};
    assert_int_equal(sqlite3_open(":memory:", &f->eng.db), SQLITE_OK);
    change_lab_sql(f, "PRAGMA foreign_keys = ON");
    change_lab_sql(f, SCHEMA);
    assert_int_equal(sqlite3_set_authorizer(f->eng.db, authorize, f), SQLITE_OK);
    strbuf_init(&f->set, 64 << 20);
    strbuf_init(&f->before, 64 << 20);
    strbuf_init(&f->after, 64 << 20);
}

void change_lab_close(struct change_lab *f)
{
    assert_int_equal(sqlite3_close(f->eng.db), SQLITE_OK);
    strbuf_release(&f->set);
    strbuf_release(&f->before);
    strbuf_release(&f->after);
}

void change_lab_rows(struct change_lab *f, const char *query, struct strbuf *out)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(f->eng.db, query, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (int c = 0; c < sqlite3_column_count(stmt); c++)
            strbuf_addf(out, "%d:%s|", sqlite3_column_type(stmt, c),
                sqlite3_column_text(stmt, c) ? (const char *)sqlite3_column_text(stmt, c) : "");
        strbuf_add_char(out, '\n');
    }
    sqlite3_finalize(stmt);
}

void change_lab_dump(struct change_lab *f, bool rowids, struct strbuf *out)
{
    strbuf_reset(out);
    for (size_t i = 0; i < ARRAY_LEN(TABLES); i++) {
        bool named = i == 2 || i == 5; /* these have a key that may be NULL */
        char *text = sqlite3_mprintf("SELECT %s FROM %s ORDER BY 1, 2%s", rowids ? SELECTS[i] : BARE[i],
            TABLES[i], named ? ", 3" : "");
        strbuf_addf(out, "%s\n", TABLES[i]);
        change_lab_rows(f, text, out);
        sqlite3_free(text);
    }
}

void change_lab_begin(struct change_lab *f)
{
    recorder_init(&f->recorder, &f->eng, RECORDER_ROWS);
    recorder_attach(&f->recorder);
    f->tells = !f->tells;
    if (f->tells)
        recorder_expect_assigns(&f->recorder);
}

void change_lab_finish(struct change_lab *f)
{
    struct err err = ERR_INIT;
    strbuf_reset(&f->set);
    enum err_code code = recorder_finish(&f->recorder, &f->set, &err);
    if (code)
        fail_msg("%s", err.message);
    recorder_release(&f->recorder);
    assert_int_equal(change_set_check(strbuf_str(&f->set), &err), ERR_OK);
}

static void on_conflict(void *arg, const struct change_conflict *c)
{
    char *seen = arg;
    str_print_cut(seen, 200, "%s in " STR_FMT, change_conflict_name(c->kind), STR_ARG(c->table->name));
}

uint64_t change_lab_apply(struct change_lab *f, struct str bytes, char seen[200])
{
    struct err err = ERR_INIT;
    uint64_t conflicts = 0;
    seen[0] = '\0';
    change_lab_sql(f, "SAVEPOINT a; PRAGMA defer_foreign_keys = ON");
    enum err_code code = change_apply(&f->eng, bytes, on_conflict, seen, &conflicts, &err);
    if (code)
        fail_msg("%s", err.message);
    change_lab_sql(f, conflicts ? "ROLLBACK TO a; RELEASE a" : "RELEASE a");
    return conflicts;
}

void change_lab_expect(struct change_lab *f, struct str bytes, bool rowids, const struct strbuf *want)
{
    char seen[200];
    AUTO_STRBUF now;
    strbuf_init(&now, 64 << 20);
    if (change_lab_apply(f, bytes, seen))
        fail_msg("conflict: %s", seen);
    change_lab_dump(f, rowids, &now);
    if (!str_eq(strbuf_str(&now), strbuf_str(want)))
        fail_msg("want\n%s\ngot\n%s", strbuf_cstr(want), strbuf_cstr(&now));
}

/* --- Random writes --- */

static const char *value(struct change_lab *f, char out[64])
{
    static const char *const FIXED[] = {"NULL", "9223372036854775807", "-9223372036854775808", "0.1",
        "-1e300", "''", "'a'", "'A'", "'\xc3\xa4'", "x'00ff'", "x''", "'it''s'", "1.0", "zeroblob(300)"};
    uint64_t n = change_lab_draw(f, ARRAY_LEN(FIXED) + 10);
    if (n < ARRAY_LEN(FIXED))
        str_print(out, 64, "%s", FIXED[n]);
    else
        str_print(out, 64, "%d", (int)change_lab_draw(f, 12));
    return out;
}

bool change_lab_write(struct change_lab *f)
{
    char v[3][64];
    AUTO_STRBUF text;
    int n = (int)change_lab_draw(f, 12), m = (int)change_lab_draw(f, 12);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        (void)value(f, v[i]);
    static const char *const WRITES[] = {
        "INSERT INTO plain VALUES (@a, @b, @c)",
        "UPDATE plain SET b = @a WHERE a IS @b OR rowid % 3 = 1",
        "UPDATE plain SET rowid = @n + 100 WHERE rowid = @m",
        "DELETE FROM plain WHERE rowid % 5 = @n % 5",
        "DELETE FROM plain",
        "INSERT OR REPLACE INTO ids VALUES (@n, @a, @m, @m)",
        "INSERT OR IGNORE INTO ids (name, u) VALUES (@a, @b)",
        "UPDATE ids SET name = @a, n = @m WHERE id > @n",
        "UPDATE OR REPLACE ids SET id = id + 1 WHERE id < @n",
        "UPDATE OR IGNORE ids SET u = @m WHERE id = @n",
        "INSERT OR REPLACE INTO named VALUES (@a, @b, @c)",
        "UPDATE named SET name = upper(name) WHERE v IS @b OR rowid = @n",
        "UPDATE named SET w = @a WHERE name = @b OR name IS NULL",
        "DELETE FROM named WHERE rowid = @n OR name IS @a",
        "INSERT OR REPLACE INTO pairs VALUES (@n, ifnull(@a, 0), @b)",
        "UPDATE OR REPLACE pairs SET a = @n WHERE b = @m",
        "UPDATE pairs SET v = @a WHERE a < @n",
        "DELETE FROM pairs WHERE a = @n",
        "INSERT INTO made (x, y) VALUES (@n, @a)",
        "UPDATE made SET x = x + @n WHERE id % 2",
        "DELETE FROM made WHERE id = @n",
        "INSERT OR REPLACE INTO descending VALUES (@n, @a, @b)",
        "UPDATE OR IGNORE descending SET id = @n, v = @a WHERE _rowid_ = @m",
        "INSERT OR IGNORE INTO parent VALUES (@n, @a)",
        "INSERT OR IGNORE INTO child VALUES (@n, (SELECT id FROM parent LIMIT 1 OFFSET @m), @a)",
        "INSERT OR IGNORE INTO loose VALUES (@n, (SELECT id FROM parent LIMIT 1 OFFSET @m), @a)",
        "UPDATE OR IGNORE parent SET id = id + @n WHERE id = @m",
        "DELETE FROM parent WHERE id = @n",
        "DELETE FROM parent WHERE id > @m",
        "UPDATE child SET v = @a WHERE id = @n",
        "UPDATE plain SET b = b",
        "INSERT INTO words VALUES (@a, 'word @n')",
        "UPDATE words SET body = body || ' more' WHERE rowid = @n",
        "DELETE FROM words WHERE rowid = @m",
    };
    const char *write = WRITES[change_lab_draw(f, ARRAY_LEN(WRITES))];
    for (strbuf_init(&text, 4000); *write; write++) {
        if (*write != '@')
            strbuf_add_char(&text, *write);
        else if (*++write == 'n' || *write == 'm')
            strbuf_add_i64(&text, *write == 'n' ? n : m);
        else
            strbuf_add_cstr(&text, v[*write - 'a']);
    }
    return sql(f, strbuf_cstr(&text)) == SQLITE_OK;
}

void change_lab_view(struct str set, struct strbuf *out)
{
    struct change_view v = {.table = {NULL, 0}, .rows_max = 100, .bytes_max = 1 << 20};
    struct err err = ERR_INIT;
    struct jsonw w;
    strbuf_init(out, 1 << 20);
    jsonw_init(&w, out);
    jsonw_object(&w);
    assert_int_equal(change_view_write(&v, set, &w, &err), ERR_OK);
    jsonw_object_end(&w);
}
