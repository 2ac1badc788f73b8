/* Requests through the whole front: each kind of route, clients that leave, many at once, the caches. Errors
 * and shapes in full are tests/e2e's; here the same paths run under the sanitizers. */
#include "api_fixture.h"

#include "api/request.h"
#include "api/route.h"
#include "token/token.h"
#include "api/persql/upload.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

static struct api_fixture fx;

int setup_http_api(void **state)
{
    (void)state;
    api_fixture_init(&fx, 2);
    AUTO_ANSWER a;
    query(&fx, fx.admin, "{\"sql\":\"CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)\"}", &a);
    return a.status == 200 ? 0 : -1;
}

int teardown_http_api(void **state)
{
    (void)state;
    api_fixture_release(&fx);
    return 0;
}

static void expect(const struct answer *a, int status, const char *text)
{
    if (a->status != status || !answer_has(a, text))
        fail_msg(
            "wanted %d with %s, saw %d: %.*s", status, text, a->status, STR_ARG(str_slice(a->body, 0, 500)));
}

void test_http_api__every_route_answers_and_refuses_strangers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        AUTO_STRBUF path;
        AUTO_ANSWER without;
        AUTO_ANSWER with;
        const struct api_route *r = &api_routes[i];
        struct str rest = str_of(r->path), part;
        strbuf_init(&path, 256);
        while (str_cut(&rest, '/', &part))
            if (part.len)
                strbuf_addf(&path, "/%.*s",
                    STR_ARG(str_eq(part, S("{ns}"))   ? S("acme")
                            : str_eq(part, S("{db}")) ? S("main")
                                                      : part));
        struct str body = r->method == HTTP_POST || r->method == HTTP_PUT ? S("") : (struct str){NULL, 0};
        call(&fx, http_method_name(r->method), strbuf_cstr(&path), NULL, body, &without);
        if (r->auth == AUTH_BEARER || r->auth == AUTH_COOKIE || r->auth == AUTH_EITHER)
            assert_int_equal(without.status, 401);
        else if (without.status < 200 || without.status >= 500 || without.status == 404 ||
                 without.status == 405)
            fail_msg("%s: %d %.*s", r->path, without.status, STR_ARG(without.body));
        if (r->id == ROUTE_DATABASE_DELETE || r->id == ROUTE_API_DATABASE_DELETE)
            continue;
        call(&fx, http_method_name(r->method), strbuf_cstr(&path), fx.admin, body, &with);
        if (with.status == 0 || with.status >= 500)
            fail_msg("%s: %d %.*s", r->path, with.status, STR_ARG(with.body));
    }
}

void test_http_api__a_write_is_read_back(void **state)
{
    AUTO_ANSWER w;
    AUTO_ANSWER r;
    (void)state;
    query(&fx, fx.admin, "{\"sql\":\"INSERT INTO t VALUES(9223372036854775807, ?)\",\"params\":[\"edge\"]}",
        &w);
    expect(&w, 200, "\"changes\":1");
    query(&fx, fx.readonly, "{\"sql\":\"SELECT * FROM t WHERE id > 1000000\"}", &r);
    expect(&r, 200, "[[9223372036854775807,\"edge\"]]");
}

void test_http_api__roles(void **state)
{
    AUTO_ANSWER a;
    AUTO_ANSWER b;
    (void)state;
    query(&fx, fx.readonly, "{\"sql\":\"DELETE FROM t\"}", &a);
    expect(&a, 403, "\"readonly\"");
    call(&fx, "POST", "/v1/databases", fx.readonly, S("{\"slug\":\"x\"}"), &b);
    expect(&b, 403, "admin");
}

void test_http_api__databases_come_and_go(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *text;
    } rows[] = {
        {"POST", "/v1/databases", "{\"slug\":\"second\",\"name\":\"Second\"}", 200, "\"slug\":\"second\""},
        {"POST", "/v1/databases", "{\"slug\":\"second\"}", 409, "conflict"},
        {"POST", "/v1/db/acme/second/query", "{\"sql\":\"CREATE TABLE a(b)\"}", 200, "success"},
        {"GET", "/v1/databases/second", NULL, 200, "healthy"},
        {"DELETE", "/v1/databases/second", NULL, 200, "deleted"},
        {"POST", "/v1/db/acme/second/query", "{\"sql\":\"SELECT 1\"}", 404, "not_found"},
        {"POST", "/v1/databases/second/restore", "", 200, "second"},
        {"GET", "/v1/db/acme/second/tables", NULL, 200, "\"a\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_ANSWER a;
        call(&fx, rows[i].method, rows[i].path, fx.admin,
            rows[i].body ? str_of(rows[i].body) : (struct str){NULL, 0}, &a);
        expect(&a, rows[i].status, rows[i].text);
    }
}

void test_http_api__revocation_empties_the_cache(void **state)
{
    struct err err = ERR_INIT;
    struct token made;
    struct secret secret = SECRET_INIT;
    struct token_new in = {
        .namespace_id = fx.control.tenant.id, .name = STR_EMPTY, .role = WIRE_ROLE_READWRITE};
    AUTO_ARENA arena;
    AUTO_ANSWER before;
    AUTO_ANSWER after;
    (void)state;
    arena_init(&arena, 1 << 16);
    assert_int_equal(tx_begin_write(fx.control.db, &err), ERR_OK);
    assert_int_equal(tx_end(fx.control.db,
                         token_create(fx.control.db, &TEST_ACTOR, &arena, &in, &made, &secret, &err), &err),
        ERR_OK);
    query(&fx, secret_reveal(&secret).ptr, "{\"sql\":\"SELECT 1\"}", &before);
    expect(&before, 200, "[[1]]");
    assert_int_equal(tx_begin_write(fx.control.db, &err), ERR_OK);
    assert_int_equal(
        tx_end(fx.control.db, token_revoke(fx.control.db, &TEST_ACTOR, NULL, id_str(&made.id), &err), &err),
        ERR_OK);
    query(&fx, secret_reveal(&secret).ptr, "{\"sql\":\"SELECT 1\"}", &after);
    expect(&after, 401, "unauthorized");
    secret_release(&secret);
}

void test_http_api__one_connection_serves_many_requests(void **state)
{
    struct client c;
    (void)state;
    client_open(&c, &fx);
    for (int i = 0; i < 50; i++) {
        AUTO_ANSWER a;
        client_send(&c, "POST", "/v1/db/acme/main/query", fx.admin, "", S("{\"sql\":\"SELECT 41 + 1\"}"));
        client_read(&c, &a);
        expect(&a, 200, "[[42]]");
    }
    client_close(&c);
}

/* Clients that leave at every stage: the server must neither leak nor touch what is gone. */
void test_http_api__clients_that_leave(void **state)
{
    static const char *const bodies[] = {"{\"sql\":\"SELECT 1\"}",
        "{\"sql\":\"INSERT INTO t(body) VALUES('left')\"}",
        "{\"sql\":\"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n\"}"};
    (void)state;
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
            struct client c;
            client_open(&c, &fx);
            client_send(&c, "POST", "/v1/db/acme/main/query", fx.admin, "", str_of(bodies[i]));
            client_close(&c);
            client_open(&c, &fx);
            client_send(&c, "GET", "/v1/db/acme/main/export", fx.admin, "", (struct str){NULL, 0});
            client_close(&c);
            client_open(&c, &fx);
            client_send(&c, "POST", "/v1/db/acme/main/archives", fx.admin, "", S("{}"));
            client_close(&c);
        }
    AUTO_ANSWER a;
    query(&fx, fx.admin, "{\"sql\":\"SELECT 1\"}", &a);
    expect(&a, 200, "[[1]]");
}

static void *hammer(void *arg)
{
    int *bad = arg;
    for (int i = 0; i < 25; i++) {
        AUTO_ANSWER w;
        AUTO_ANSWER r;
        AUTO_ANSWER d;
        query(&fx, fx.admin, "{\"sql\":\"INSERT INTO t(body) VALUES('hammer')\"}", &w);
        query(&fx, fx.readonly, "{\"sql\":\"SELECT count(*) FROM t\"}", &r);
        call(&fx, "GET", i % 2 ? "/v1/databases" : "/metrics", fx.admin, (struct str){NULL, 0}, &d);
        *bad += w.status != 200 || r.status != 200 || d.status != 200;
    }
    return NULL;
}

void test_http_api__many_at_once(void **state)
{
    pthread_t threads[8];
    int bad[8] = {0}, sum = 0;
    AUTO_ANSWER a;
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &bad[i]), 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += bad[i];
    }
    assert_int_equal(sum, 0);
    query(&fx, fx.admin, "{\"sql\":\"SELECT count(*) FROM t WHERE body = 'hammer'\"}", &a);
    expect(&a, 200, "[[200]]");
}

void test_http_api__a_statement_past_its_deadline(void **state)
{
    AUTO_ANSWER a;
    (void)state;
    query(&fx, fx.admin,
        "{\"sql\":\"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n\"}",
        &a);
    expect(&a, 504, "query_timeout");
}

static void import_as(const char *path, const char *type, struct str body, int status, const char *text)
{
    struct client c;
    AUTO_ANSWER a;
    client_open(&c, &fx);
    client_send(&c, "POST", path, fx.admin, type, body);
    client_read(&c, &a);
    client_close(&c);
    expect(&a, status, text);
}

void test_http_api__import_and_export(void **state)
{
    const char *main_import = "/v1/db/acme/main/import";
    AUTO_ANSWER sql;
    AUTO_ANSWER file;
    (void)state;
    import_as(main_import, "Content-Type: application/sql\r\n",
        S("CREATE TABLE imp(a); INSERT INTO imp VALUES(1),(2);"), 200, "success");
    import_as(
        main_import, "Content-Type: application/sql\r\n", S("CREATE TABLE imp2(a); SELEC"), 400, "sql_error");
    import_as("/v1/db/acme/main/import?table=imp", "Content-Type: application/x-ndjson\r\n",
        S("{\"a\":3}\n{\"a\":4}\n"), 200, "success");
    import_as(main_import, "Content-Type: multipart/form-data; boundary=b\r\n", S("--b\r\n\r\n--b--"), 400,
        "multipart");
    call(&fx, "GET", "/v1/db/acme/main/export", fx.admin, (struct str){NULL, 0}, &sql);
    expect(&sql, 200, "CREATE TABLE imp(a)");
    call(&fx, "GET", "/v1/db/acme/main/export?format=sqlite", fx.admin, (struct str){NULL, 0}, &file);
    expect(&file, 200, "SQLite format 3");
    AUTO_ANSWER made;
    call(&fx, "POST", "/v1/databases", fx.admin, S("{\"slug\":\"third\"}"), &made);
    expect(&made, 200, "third");
    import_as(
        "/v1/db/acme/third/import", "Content-Type: application/vnd.sqlite3\r\n", file.body, 200, "success");
    AUTO_ANSWER rows;
    call(&fx, "POST", "/v1/db/acme/third/query", fx.admin, S("{\"sql\":\"SELECT sum(a) FROM imp\"}"), &rows);
    expect(&rows, 200, "[[10]]");
}

static struct str id_in(struct str body)
{
    struct str rest = body, part;
    while (str_cut(&rest, '"', &part) && !str_starts(part, S("arch_")))
        continue;
    return part;
}

void test_http_api__an_archive_there_and_back(void **state)
{
    char path[128];
    AUTO_ANSWER made;
    AUTO_ANSWER dump;
    AUTO_ANSWER gone;
    AUTO_ANSWER again;
    AUTO_ANSWER list;
    (void)state;
    call(&fx, "POST", "/v1/databases", fx.admin, S("{\"slug\":\"kept\"}"), &made);
    expect(&made, 200, "kept");
    import_as("/v1/db/acme/kept/import", "Content-Type: application/sql\r\n",
        S("CREATE TABLE arc(a); INSERT INTO arc VALUES(1),(2);"), 200, "success");
    call(&fx, "POST", "/v1/db/acme/kept/archives", fx.admin, S("{\"label\":\"of arc\"}"), &list);
    expect(&list, 200, "\"label\":\"of arc\"");
    struct str id = id_in(list.body);
    str_print(path, sizeof path, "/v1/db/acme/kept/archives/" STR_FMT "/download", STR_ARG(id));
    call(&fx, "GET", path, fx.admin, (struct str){NULL, 0}, &dump);
    expect(&dump, 200, "CREATE TABLE arc(a)");
    path[strlen(path) - strlen("/download")] = '\0';
    call(&fx, "DELETE", path, fx.readonly, (struct str){NULL, 0}, &again);
    expect(&again, 403, "forbidden");
    call(&fx, "DELETE", path, fx.admin, (struct str){NULL, 0}, &gone);
    expect(&gone, 200, "of arc");
    AUTO_ANSWER missing;
    call(&fx, "DELETE", path, fx.admin, (struct str){NULL, 0}, &missing);
    expect(&missing, 404, "no such archive");
}

static void set_disk_low_bytes(void *arg)
{
    fx.api->opt.disk_low_bytes = *(const int64_t *)arg;
    fx.api->health.checked_us = 0; /* the next /readyz looks at the disk */
}

static void expect_ready(int64_t *disk_low_bytes, int status, const char *text)
{
    AUTO_ANSWER a;
    loop_post(fx.loop, set_disk_low_bytes, disk_low_bytes);
    call(&fx, "GET", "/readyz", NULL, (struct str){NULL, 0}, &a);
    expect(&a, status, text);
}

/* Before the disk is full: whatever writes is refused, by engines that run and by those that start; reads go
 * on. */
void test_http_api__a_nearly_full_disk_refuses_writes(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *text;
    } rows[] = {
        {"POST", "/v1/db/acme/main/query", "{\"sql\":\"INSERT INTO low VALUES (2)\"}", 507, "nearly full"},
        {"POST", "/v1/db/acme/main/query", "{\"sql\":\"SELECT sum(a) FROM low\"}", 200, "[[1]]"},
        {"POST", "/v1/db/acme/main/batch",
            "{\"statements\":[{\"sql\":\"SELECT 1\"},{\"sql\":\"DELETE FROM low\"}]}", 507,
            "insufficient_storage"},
        {"POST", "/v1/db/acme/main/batch", "{\"statements\":[{\"sql\":\"SELECT 8\"}]}", 200, "[[8]]"},
        {"PUT", "/v1/db/acme/main/describe", "{\"description\":\"x\"}", 507, "nearly full"},
        {"POST", "/v1/db/acme/main/import?format=sql", "INSERT INTO low VALUES (3);", 507, "nearly full"},
        {"POST", "/v1/db/acme/main/archives", "{}", 507, "nearly full"},
        {"POST", "/v1/db/acme/cold/query", "{\"sql\":\"CREATE TABLE a(b)\"}", 507, "nearly full"},
        {"POST", "/v1/db/acme/cold/query", "{\"sql\":\"SELECT 9\"}", 200, "[[9]]"},
    };
    int64_t always = INT64_MAX, never = 0;
    AUTO_ANSWER made;
    AUTO_ANSWER table;
    AUTO_ANSWER metrics;
    AUTO_ANSWER after;
    (void)state;
    query(&fx, fx.admin, "{\"sql\":\"CREATE TABLE low AS SELECT 1 AS a\"}", &table);
    expect(&table, 200, "success");
    call(&fx, "POST", "/v1/databases", fx.admin, S("{\"slug\":\"cold\"}"), &made);
    expect(&made, 200, "cold");
    expect_ready(&always, 503, "disk is nearly full");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_ANSWER a;
        call(&fx, rows[i].method, rows[i].path, fx.admin, str_of(rows[i].body), &a);
        expect(&a, rows[i].status, rows[i].text);
    }
    call(&fx, "GET", "/metrics", NULL, (struct str){NULL, 0}, &metrics);
    expect(&metrics, 200, "\nholdfast_disk_low 1\n");
    expect_ready(&never, 200, "ok");
    query(
        &fx, fx.admin, "{\"sql\":\"INSERT INTO low VALUES (2) RETURNING (SELECT sum(a) FROM low)\"}", &after);
    expect(&after, 200, "success");
}

static void set_spooled(void *arg)
{
    fx.api->spooled = *(const uint64_t *)arg;
}

/* The announced length is weighed before a byte comes, and what comes without one is weighed as it comes. */
void test_http_api__uploads_share_a_bound_on_disk(void **state)
{
    static const struct {
        const char *headers;
        struct str body; /* ptr NULL: none is sent */
        uint64_t spooled;
        int status;
    } rows[] = {
        {"Content-Length: 10000000\r\n", {NULL, 0}, LIMIT_SPOOL_BYTES - 9999999, 503},
        {"", {"CREATE TABLE IF NOT EXISTS sp(a);", 33}, LIMIT_SPOOL_BYTES - 33, 200},
        {"", {"CREATE TABLE IF NOT EXISTS sp(a);", 33}, LIMIT_SPOOL_BYTES - 32, 503},
        {"Transfer-Encoding: chunked\r\n\r\n5\r\n-- ok\r\n0\r\n", {NULL, 0}, LIMIT_SPOOL_BYTES - 4, 503},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_STRBUF more;
        AUTO_ANSWER a;
        struct client c;
        uint64_t spooled = rows[i].spooled, none = 0;
        strbuf_init(&more, 500);
        strbuf_addf(&more, "Authorization: Bearer %s\r\nContent-Type: application/sql\r\n%s", fx.admin,
            rows[i].headers);
        loop_post(fx.loop, set_spooled, &spooled);
        client_open(&c, &fx);
        client_send(&c, "POST", "/v1/db/acme/main/import", NULL, strbuf_cstr(&more), rows[i].body);
        client_read(&c, &a);
        client_close(&c);
        expect(&a, rows[i].status, rows[i].status == 503 ? "may fill 4096 MiB" : "success");
        loop_post(fx.loop, set_spooled, &none);
        AUTO_ANSWER after;
        call(&fx, "GET", "/healthz", NULL, (struct str){NULL, 0}, &after);
        expect(&after, 200, "ok"); /* the loop has read `none` */
    }
}

static struct api_request held_request;
static struct upload held = {.r = &held_request};

static void hold_upload(void *arg)
{
    held_request.ns = str_of(arg);
    held.reserved = LIMIT_SPOOL_NAMESPACE_BYTES;
    list_init(&held.node);
    list_push_back(&fx.api->uploads, &held.node);
}

static void drop_upload(void *arg)
{
    (void)arg;
    list_remove(&held.node);
}

/* One that fills its share is told to wait; others are served meanwhile. */
void test_http_api__a_namespace_cannot_take_all_of_the_spool(void **state)
{
    static const struct {
        const char *holder;
        int status;
        const char *text;
    } rows[] = {
        {"acme", 429, "of this namespace that are coming in may fill 2048 MiB"}, {"other", 200, "success"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        loop_post(fx.loop, hold_upload, (void *)(uintptr_t)rows[i].holder);
        import_as("/v1/db/acme/main/import", "Content-Type: application/sql\r\n", S("SELECT 1;"),
            rows[i].status, rows[i].text);
        loop_post(fx.loop, drop_upload, NULL);
    }
}

/* What a client has not finished sending is cut off; the server does not wait for it. */
void test_http_api__an_upload_does_not_hold_up_the_end(void **state)
{
    struct api_fixture own;
    struct client c;
    AUTO_ANSWER a;
    AUTO_ANSWER before;
    (void)state;
    api_fixture_init(&own, 30);
    client_open(&c, &own);
    client_send(&c, "POST", "/v1/db/acme/main/import", own.admin,
        "Content-Type: application/sql\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
        (struct str){NULL, 0});
    client_read(&c, &before);
    assert_int_equal(before.status, 100); /* its body is asked for */
    api_fixture_release(&own);
    client_read(&c, &a);
    client_close(&c);
    expect(&a, 503, "shutting down");
}

void test_http_api__a_slow_reader_of_an_export(void **state)
{
    struct client c;
    AUTO_ANSWER made;
    AUTO_ANSWER a;
    (void)state;
    query(&fx, fx.admin,
        "{\"sql\":\"INSERT INTO t(body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE "
        "i<5000) SELECT "
        "hex(randomblob(500)) FROM n\"}",
        &made);
    expect(&made, 200, "\"changes\":5000");
    client_open(&c, &fx);
    int small = 65536;
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    client_send(&c, "GET", "/v1/db/acme/main/export?format=ndjson&table=t", fx.admin, "Connection: close\r\n",
        (struct str){NULL, 0});
    client_read(&c, &a);
    client_close(&c);
    expect(&a, 200, "\"body\"");
    size_t lines = 0;
    for (size_t i = 0; i < a.body.len; i++)
        lines += a.body.ptr[i] == '\n';
    assert_true(lines >= 5000);
}
