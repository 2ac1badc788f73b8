/* An engine that is asked anything, and looked at closely. */
#define _GNU_SOURCE /* mkdtemp */
#include "lib/sql_lab.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "engine/task.h"
#include "json/jsonr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LAB_FD = 1 << 20,          /* no descriptor: __wrap_send knows it */
    DB_BYTES_MAX = 2 << 20,    /* small, so that a full database is met too */
    PARSE_BYTES_MAX = 1 << 20, /* longer answers are rows of rows: their tree would not fit */
    NEEDLE_BYTES = 12,         /* of the secret: enough not to be met by chance */
    NEEDLES = 3,
    ANSWER_BYTES_MAX = 64 << 20,
};

struct image {
    unsigned char *bytes;
    size_t len;
};

static struct lab {
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    struct strbuf file; /* main.db as each run finds it */
    char secret[DIGEST_BYTES * 2 + 1];
    struct strbuf needles[NEEDLES]; /* how the secret would look in an answer */
    struct engine eng;
    struct board board;
    sqlite3 *observer; /* a connection of its own: what is in the file, not what the engine believes */
    struct image image;
    struct strbuf own; /* the server's own tables and names, as text */
    int64_t hidden_place;
    size_t secrets; /* how often the file holds it */
    bool told;      /* an admin may have copied the secret, or renamed its table */
    struct strbuf out;
    struct wire_call calls[SQL_LAB_CALLS_MAX];
    size_t count;
    uint64_t next_id;
} lab;

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);

/* What the engine writes to the front. */
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
    (void)flags;
    CHECK(fd == LAB_FD);
    strbuf_add(&lab.out, data, len);
    return (ssize_t)len;
}

static const char SCHEMA[] =
    "CREATE TABLE open_one(id INTEGER PRIMARY KEY, body TEXT, n REAL DEFAULT 1.5, extra BLOB);"
    "CREATE INDEX open_one_body ON open_one(body, n);"
    "INSERT INTO open_one(body, n) VALUES ('one', 1), ('two', 2.5), ('three', NULL), (NULL, -4);"
    "CREATE TABLE parent(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL CHECK(length(name) "
    "< 99));"
    "INSERT INTO parent(name) VALUES ('first'), ('second');"
    "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id) ON DELETE CASCADE,"
    " late INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED, twice AS (id * 2) STORED);"
    "INSERT INTO child(parent, late) VALUES (1, 2), (2, 1);"
    "CREATE TABLE flat(k TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID;"
    "INSERT INTO flat VALUES ('a', 1), ('b', 'two');"
    "CREATE TABLE rollbacker(a);"
    "CREATE TRIGGER rolls AFTER INSERT ON rollbacker WHEN new.a = 13 BEGIN SELECT RAISE(ROLLBACK, 'rolled "
    "back'); END;"
    "CREATE VIEW both AS SELECT o.id, o.body, f.v FROM open_one o LEFT JOIN flat f ON f.k = o.body;"
    "CREATE VIEW peek AS SELECT id, secret FROM hidden_one;"
    "CREATE VIRTUAL TABLE notes USING fts5(title, body, tokenize = 'porter unicode61');"
    "INSERT INTO notes VALUES ('a note', 'of some words'), ('another', 'with other words');"
    "CREATE TABLE hidden_one(id INTEGER PRIMARY KEY, secret TEXT NOT NULL);"
    "CREATE VIRTUAL TABLE hidden_notes USING fts5(secret);"
    "CREATE TRIGGER seen AFTER UPDATE ON open_one WHEN new.n = 77"
    " BEGIN UPDATE open_one SET body = (SELECT secret FROM hidden_one) WHERE id = new.id; END;";

/* --- Looking at the file --- */

static void exec_own(sqlite3 *db, const char *sql)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    CHECK(rc == SQLITE_OK);
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What stands in a free page means nothing, and SQLite does not always restore it. */
static void clear_free_pages(struct image *im)
{
    size_t page = (size_t)im->bytes[16] << 8 | im->bytes[17], pages = im->len / page;
    for (uint32_t trunk = be32(im->bytes + 32); trunk != 0;) {
        CHECK(trunk <= pages);
        const unsigned char *at = im->bytes + (trunk - 1) * page;
        uint32_t leaves = be32(at + 4);
        CHECK(leaves <= page / 4 - 2);
        for (uint32_t i = 0; i < leaves; i++) {
            uint32_t leaf = be32(at + 8 + (size_t)i * 4);
            CHECK(leaf >= 1 && leaf <= pages && leaf != trunk);
            memset(im->bytes + (leaf - 1) * page, 0, page);
        }
        trunk = be32(at);
    }
}

static struct image read_image(void)
{
    sqlite3_int64 size = 0;
    struct image im = {.bytes = sqlite3_serialize(lab.observer, "main", &size, 0)};
    CHECK(im.bytes && size >= 512);
    im.len = (size_t)size;
    memset(im.bytes + 24, 0, 4); /* the change counter, and the version it is valid for: bookkeeping */
    memset(im.bytes + 92, 0, 8);
    clear_free_pages(&im);
    return im;
}

/* The server's own tables: their rows as SQL literals, and every reserved name of the schema. */
static void read_own(struct strbuf *out)
{
    static const char *const QUERIES[] = {
        "SELECT type || name || tbl_name || ifnull(sql, '') FROM sqlite_schema WHERE name LIKE '\\_sys\\_%' "
        "ESCAPE '\\'"
        " OR name LIKE '\\_persql\\_%' ESCAPE '\\' OR tbl_name LIKE '\\_sys\\_%' ESCAPE '\\' ORDER BY name",
        "SELECT quote(key) || quote(value) FROM _sys_meta",
        "SELECT count(*) FROM _sys_applied",
        "SELECT count(*) FROM _sys_query_log",
        "SELECT count(*) FROM _sys_description",
    };
    strbuf_reset(out);
    for (size_t i = 0; i < ARRAY_LEN(QUERIES); i++) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(lab.observer, QUERIES[i], -1, &stmt, NULL);
        CHECK(rc == SQLITE_OK);
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            strbuf_add_cstr(out, (const char *)sqlite3_column_text(stmt, 0));
            strbuf_add_char(out, '\n');
        }
        CHECK(rc == SQLITE_DONE);
        (void)sqlite3_finalize(stmt);
    }
    CHECK(!strbuf_failed(out));
}

static int64_t read_int(const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(lab.observer, sql, -1, &stmt, NULL);
    CHECK(rc == SQLITE_OK);
    int64_t v = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_finalize(stmt);
    return v;
}

/* Changes when a table with a secret is renamed, dropped or made again: it may then be in scope. */
static int64_t hidden_place(void)
{
    return read_int(
        "SELECT sum(rootpage) * 1000 + count(*) FROM sqlite_schema WHERE name LIKE 'hidden\\_%' ESCAPE '\\'");
}

/* No memmem: a fuzzer learns from its arguments, and would put the secret into its inputs. */
static size_t count_in(struct str hay, struct str needle)
{
    size_t found = 0;
    for (size_t i = 0; i + needle.len <= hay.len; i++) {
        size_t n = 0;
        while (n < needle.len && hay.ptr[i + n] == needle.ptr[n])
            n++;
        found += n == needle.len;
    }
    return found;
}

static size_t secrets_in(struct str text)
{
    size_t found = 0;
    for (size_t i = 0; i < NEEDLES; i++)
        found += count_in(text, strbuf_str(&lab.needles[i]));
    return found;
}

/* What integrity_check says of constraints is the tenant's: it can add one that old rows do not meet. */
static void check_integrity(void)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(lab.observer, "PRAGMA integrity_check", -1, &stmt, NULL);
    CHECK(rc == SQLITE_OK);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct str line = str_of((const char *)sqlite3_column_text(stmt, 0));
        bool constraint =
            str_starts(line, S("NULL value in ")) || str_starts(line, S("CHECK constraint failed"));
        if (!str_eq(line, S("ok")) && !constraint) {
            (void)fprintf(stderr, "integrity_check: %s\n", line.ptr);
            UNREACHABLE("the file fails integrity_check");
        }
    }
    CHECK(rc == SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
}

/* --- Answers --- */

/* A NUL in a text is legal in an answer; our own reader refuses it in a request. */
static void hide_nul_escapes(struct str text, struct strbuf *out)
{
    strbuf_add_str(out, text);
    for (size_t i = 0; i + 5 < out->len; i++) {
        if (out->buf[i] != '\\')
            continue;
        if (memcmp(out->buf + i, "\\u0000", 6) == 0)
            out->buf[i + 5] = '1';
        i++;
    }
}

static bool status_may_be(uint16_t status)
{
    static const uint16_t STATUSES[] = {200, 400, 403, 404, 409, 413, 504, 507};
    for (size_t i = 0; i < ARRAY_LEN(STATUSES); i++) {
        if (status == STATUSES[i])
            return true;
    }
    return false;
}

static void check_json(const struct wire_reply_head *head, struct str body)
{
    const struct jsonr_value *root;
    AUTO_STRBUF text;
    AUTO_ARENA a;
    strbuf_init(&text, PARSE_BYTES_MAX);
    arena_init(&a, 256 << 20);
    hide_nul_escapes(body, &text);
    CHECK(jsonr_parse(&a, strbuf_str(&text), &root, NULL) == ERR_OK);
    CHECK(jsonr_kind(root) == JSONR_OBJECT);
    const struct jsonr_value *success = jsonr_member(root, S("success"));
    CHECK(success && jsonr_kind(success) == JSONR_BOOL && jsonr_bool(success) == (head->status == 200));
    if (head->status == 200) {
        CHECK(jsonr_member(root, S("data")) && jsonr_member(root, S("meta")));
        return;
    }
    const struct jsonr_value *error = jsonr_member(root, S("error"));
    CHECK(error && jsonr_kind(error) == JSONR_TEXT && jsonr_text(error).len > 0);
}

static void check_answer(const struct wire_call *call, const struct wire_reply_head *head, struct str body)
{
    if (!status_may_be(head->status)) {
        (void)fprintf(stderr, "status %d: " STR_FMT "\n", head->status, STR_ARG(body));
        UNREACHABLE("a status that SQL cannot cause");
    }
    CHECK(head->content != WIRE_CONTENT_JSON || head->bytes_total == body.len);
    if (head->content == WIRE_CONTENT_JSON && body.len < PARSE_BYTES_MAX)
        check_json(head, body);
    if (call->has_table_scope && !lab.told && secrets_in(body) > 0) {
        (void)fprintf(stderr, "leak: " STR_FMT "\n", STR_ARG(body));
        UNREACHABLE("a scoped call sees a secret");
    }
}

/* May this call have changed the file? */
static bool may_write(const struct wire_call *call, uint16_t status)
{
    if (call->role == WIRE_ROLE_READONLY)
        return false;
    if (call->op == WIRE_OP_BATCH)
        return true; /* what stands before a failed statement stays, without a transaction */
    return status == 200 && (call->op == WIRE_OP_QUERY || call->op == WIRE_OP_IMPORT);
}

/* Takes one call's frames from *rest. */
static void take_answer(struct str *rest, uint64_t first_id, bool *seen, bool *ret_may_write)
{
    struct wire_header h = {.flags = 0};
    struct wire_reply_head head = {0};
    struct str chunk;
    AUTO_STRBUF body;
    strbuf_init(&body, ANSWER_BYTES_MAX);
    while (!(h.flags & WIRE_LAST)) {
        size_t size = 0;
        CHECK(wire_peek(*rest, &h, &size, NULL) == ERR_OK && size > 0 && h.type == WIRE_REPLY);
        CHECK(
            wire_get_reply(h.flags, str_slice(*rest, WIRE_HEADER_SIZE, size), &head, &chunk, NULL) == ERR_OK);
        strbuf_add_str(&body, chunk);
        *rest = str_slice(*rest, size, rest->len);
    }
    CHECK(h.call_id >= first_id && h.call_id - first_id < lab.count && !seen[h.call_id - first_id]);
    seen[h.call_id - first_id] = true;
    const struct wire_call *call = &lab.calls[h.call_id - first_id];
    check_answer(call, &head, strbuf_str(&body));
    *ret_may_write = *ret_may_write || may_write(call, head.status);
}

/* --- A run --- */

static void remove_file(const char *name)
{
    char path[FS_PATH_MAX];
    fs_join(path, lab.dir, name);
    CHECK(unlink(path) == 0 || errno == ENOENT);
}

static void start_engine(void)
{
    struct err err = ERR_INIT;
    struct engine_config cfg = {.mode = ENGINE_WRITER, .db_bytes_max = DB_BYTES_MAX};
    str_print(cfg.dir, sizeof cfg.dir, "%s", lab.dir);
    memset(&lab.board, 0, sizeof lab.board);
    engine_init(&lab.eng, &cfg, LAB_FD, &lab.board);
    if (lab.next_id == 0)
        CHECK(engine_start_library(&lab.eng, &err) == ERR_OK);
    CHECK(engine_start(&lab.eng, &err) == ERR_OK);
    strbuf_reset(&lab.out); /* READY */
}

static void write_template(void)
{
    AUTO_FD fd = open(lab.path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK(write(fd, lab.file.buf, lab.file.len) == (ssize_t)lab.file.len);
}

static void make_secret(void)
{
    struct digest d = digest_sha256(S("what nobody in scope may see"));
    AUTO_STRBUF hex;
    strbuf_init(&hex, sizeof lab.secret);
    digest_hex(&hex, &d);
    for (size_t i = 0; i < hex.len; i++) /* letters that hex() never writes */
        lab.secret[i] = (char)('g' + (hex.buf[i] <= '9' ? hex.buf[i] - '0' : hex.buf[i] - 'a' + 10));
    struct str start = str_make(lab.secret, NEEDLE_BYTES);
    for (size_t i = 0; i < NEEDLES; i++)
        strbuf_init(&lab.needles[i], 64);
    strbuf_add_str(&lab.needles[0], start);
    for (size_t i = 0; i < start.len; i++)
        strbuf_addf(&lab.needles[1], "%02X", (unsigned)start.ptr[i]);
    enc_base64(&lab.needles[2], start);
}

static void close_lab(void)
{
    CHECK(fs_remove_tree(lab.dir, NULL) == ERR_OK);
    strbuf_release(&lab.file);
    strbuf_release(&lab.own);
    strbuf_release(&lab.out);
    for (size_t i = 0; i < NEEDLES; i++)
        strbuf_release(&lab.needles[i]);
}

void sql_lab_open(void)
{
    char sql[300];
    const char *tmp = getenv("TMPDIR");
    struct stat st;
    bool memory = stat("/dev/shm", &st) == 0 && access("/dev/shm", W_OK) == 0;
    str_print(lab.dir, sizeof lab.dir, "%s/hf-lab-XXXXXX", memory ? "/dev/shm" : tmp ? tmp : "/tmp");
    CHECK(mkdtemp(lab.dir) != NULL);
    fs_join(lab.path, lab.dir, "main.db");
    strbuf_init(&lab.file, 64 << 20);
    strbuf_init(&lab.own, 1 << 20);
    strbuf_init(&lab.out, ANSWER_BYTES_MAX);
    (void)atexit(close_lab);
    make_secret();
    start_engine();
    lab.next_id = 1;
    exec_own(lab.eng.db, SCHEMA);
    str_print(sql, sizeof sql,
        "INSERT INTO hidden_one(secret) VALUES ('%s'); INSERT INTO hidden_notes VALUES ('%s')", lab.secret,
        lab.secret);
    exec_own(lab.eng.db, sql);
    engine_release(&lab.eng); /* leaves no log behind */
    CHECK(fs_read_all(lab.path, 64 << 20, &lab.file, NULL) == ERR_OK);
}

void sql_lab_begin(void)
{
    remove_file("main.db-wal");
    remove_file("main.db-shm");
    write_template();
    start_engine();
    int rc = sqlite3_open_v2(lab.path, &lab.observer, SQLITE_OPEN_READONLY, "unix");
    CHECK(rc == SQLITE_OK);
    lab.image = read_image();
    read_own(&lab.own);
    lab.hidden_place = hidden_place();
    lab.secrets = secrets_in(str_make(lab.image.bytes, lab.image.len));
    lab.told = false;
    lab.count = 0;
}

void sql_lab_call(const struct wire_call *call)
{
    CHECK(lab.count < SQL_LAB_CALLS_MAX);
    lab.calls[lab.count] = *call;
    lab.calls[lab.count].deadline_us = clock_mono_us() + SQL_LAB_DEADLINE_US * (int64_t)(lab.count + 1);
    wire_put_call(&lab.eng.channel.in, lab.next_id + lab.count, &lab.calls[lab.count]);
    CHECK(!strbuf_failed(&lab.eng.channel.in));
    lab.count++;
}

size_t sql_lab_waiting(void)
{
    return lab.count;
}

/* Takes the file as the turn left it; true: it changed. */
static bool look_again(void)
{
    struct image now = read_image();
    bool same = now.len == lab.image.len && memcmp(now.bytes, lab.image.bytes, now.len) == 0;
    sqlite3_free(lab.image.bytes);
    lab.image = now;
    if (!same)
        lab.told = lab.told || hidden_place() != lab.hidden_place ||
                   secrets_in(str_make(now.bytes, now.len)) > lab.secrets;
    return !same;
}

static void check_engine(void)
{
    CHECK(!lab.eng.leaving && !lab.eng.channel.closed && sqlite3_get_autocommit(lab.eng.db));
    CHECK(lab.eng.guard.mode == GUARD_OWN && !lab.eng.running);
    for (sqlite3_stmt *s = NULL; (s = sqlite3_next_stmt(lab.eng.db, s));)
        CHECK(!sqlite3_stmt_busy(s));
}

void sql_lab_turn(void)
{
    bool seen[SQL_LAB_CALLS_MAX] = {false}, may_have_written = false;
    if (lab.count == 0)
        return;
    AUTO_STRBUF own;
    strbuf_init(&own, 1 << 20);
    CHECK(turn_run(&lab.eng, NULL) == ERR_OK);
    bool changed = look_again();
    struct str rest = strbuf_str(&lab.out);
    for (size_t i = 0; i < lab.count; i++)
        take_answer(&rest, lab.next_id, seen, &may_have_written);
    CHECK(rest.len == 0);
    strbuf_shrink(&lab.out, 1 << 16);
    lab.next_id += lab.count;
    lab.count = 0;
    check_engine();
    CHECK(may_have_written || !changed);
    read_own(&own);
    CHECK(str_eq(strbuf_str(&own), strbuf_str(&lab.own)));
    if (changed)
        check_integrity();
}

void sql_lab_end(void)
{
    sqlite3_free(lab.image.bytes);
    CHECK(sqlite3_close(lab.observer) == SQLITE_OK);
    engine_release(&lab.eng);
}
