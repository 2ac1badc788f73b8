/* A command's requests to a server that somebody named: what is sent, what comes back, what is refused before
 * anything is sent. */
#include "http/client.h"
#include "lib/canned.h"
#include "lib/httpd.h"
#include "lib/unit.h"

#define ROOM 1000

static struct http_client *client_of(const char *base, const char *token)
{
    struct http_client_options opt = {.base = str_of(base), .token = str_of(token)};
    struct http_client *c = NULL;

    assert_int_equal(http_client_new(&opt, &c, NULL), ERR_OK);
    return c;
}

static struct http_client *client_at(uint16_t port, const char *tail, const char *token)
{
    char base[64];

    str_print(base, sizeof base, "http://127.0.0.1:%u%s", port, tail);
    return client_of(base, token);
}

static void expect_echo(struct http_client *c, const char *method, struct str body)
{
    AUTO_STRBUF out;
    int status = 0;

    strbuf_init(&out, ROOM);
    assert_int_equal(http_client_send(c, method, "/echo?a=b", body, &out, &status, NULL), ERR_OK);
    assert_int_equal(status, 200);
    assert_string_equal(strbuf_cstr(&out), body.ptr ? body.ptr : "");
}

/* One connection carries every method, with a body and without one after that. */
void test_http_client__methods(void **state)
{
    struct httpd h;

    (void)state;
    httpd_start(&h, (struct http_options){.port = 0});
    struct http_client *c = client_at(h.port, "/", "psql_live_x");
    expect_echo(c, "POST", S("{\"n\":1}"));
    expect_echo(c, "GET", STR_EMPTY);
    expect_echo(c, "PUT", S("{}"));
    expect_echo(c, "DELETE", STR_EMPTY);
    assert_int_equal(httpd_count(&h, HTTPD_ACCEPTED), 1);
    http_client_free(c);
    httpd_stop(&h);
}

/* What goes out, and that a status which is no success is an answer too; a redirect is not followed. */
void test_http_client__head(void **state)
{
    AUTO_STRBUF out, head;
    struct canned server;
    int status = 0;

    (void)state;
    strbuf_init(&out, ROOM);
    strbuf_init(&head, 16 * ROOM);
    canned_start(&server);
    canned_answer(
        &server, S("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nno"), false);
    struct http_client *c = client_at(server.port, "/base/", "psql_live_abc");
    assert_int_equal(http_client_send(c, "POST", "/v1/me", S("{}"), &out, &status, NULL), ERR_OK);
    assert_int_equal(status, 302);
    assert_string_equal(strbuf_cstr(&out), "no");
    assert_int_equal(canned_accepted(&server), 1);
    canned_head(&server, &head);
    assert_non_null(strstr(strbuf_cstr(&head), "POST /base/v1/me HTTP/1.1\r\n"));
    assert_non_null(strstr(strbuf_cstr(&head), "\r\nAuthorization: Bearer psql_live_abc\r\n"));
    assert_non_null(strstr(strbuf_cstr(&head), "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(strbuf_cstr(&head), "\r\nExpect:"));
    http_client_free(c);
    canned_stop(&server);
}

/* An answer past the limit, and a server that is not there. */
void test_http_client__failures(void **state)
{
    AUTO_STRBUF out;
    struct httpd h;
    struct err err = ERR_INIT;
    int status = 0;

    (void)state;
    strbuf_init(&out, ROOM);
    httpd_start(&h, (struct http_options){.port = 0});
    struct http_client *c = client_at(h.port, "", "");
    assert_int_equal(http_client_send(c, "GET", "/big?2000", STR_EMPTY, &out, &status, &err), ERR_TOO_LARGE);
    httpd_stop(&h);
    strbuf_reset(&out);
    assert_int_equal(http_client_send(c, "GET", "/echo", STR_EMPTY, &out, &status, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "http://127.0.0.1:"));
    assert_int_equal(status, 0);
    http_client_free(c);
}

void test_http_client__options(void **state)
{
    static const struct {
        const char *base, *token;
    } BAD[] = {{"", ""}, {"db.example.com", ""}, {"ftp://db.example.com", ""}, {"http://", ""},
        {"https://db.example.com/a b", ""}, {"https://db.example.com", "a b"},
        {"https://db.example.com", "a\r\nX: y"}, {"https://db.example.com", "\xc3\xa4"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct http_client_options opt = {.base = str_of(BAD[i].base), .token = str_of(BAD[i].token)};
        struct http_client *c = NULL;
        assert_int_equal(http_client_new(&opt, &c, NULL), ERR_INVALID);
        assert_null(c);
    }
}
