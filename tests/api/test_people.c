/* People through the whole front: the password pool, the session's cookie, its cache. Errors and shapes in
 * full are tests/e2e's; here the same paths run under the sanitizers. */
#define _GNU_SOURCE /* memmem */
#include "api_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define BODY     "{\"email\":\"ada@example.com\",\"password\":\"seven grey geese over the harbour\"}"
#define SIGN_INS 8

static struct api_fixture fx;

int setup_people(void **state)
{
    AUTO_ANSWER a;
    (void)state;
    api_fixture_init(&fx, 2);
    call(&fx, "POST", "/api/auth/sign-up/email", NULL, S(BODY), &a);
    return a.status == 200 ? 0 : -1;
}

int teardown_people(void **state)
{
    (void)state;
    api_fixture_release(&fx);
    return 0;
}

struct browser {
    char cookie[200], csrf[80];
};

/* Copies what stands between the two, to the end of `end`. */
static void pick(struct str text, const char *begin, char end, char *out, size_t size)
{
    const char *from = memmem(text.ptr, text.len, begin, strlen(begin));
    if (!from)
        fail_msg("no %s in %.*s", begin, STR_ARG(text));
    from += strlen(begin);
    const char *to = memchr(from, end, (size_t)(text.ptr + text.len - from));
    assert_non_null(to);
    str_print(out, size, "%.*s", (int)(to - from), from);
}

static void ask(
    const struct browser *b, const char *method, const char *path, struct str body, struct answer *a)
{
    AUTO_STRBUF more;
    struct client c;
    strbuf_init(&more, 1000);
    strbuf_addf(&more, "Connection: close\r\nCookie: %s\r\nX-CSRF-Token: %s\r\n", b->cookie, b->csrf);
    client_open(&c, &fx);
    client_send(&c, method, path, NULL, strbuf_cstr(&more), body);
    client_read(&c, a);
    client_close(&c);
}

static void sign_in(struct browser *b)
{
    AUTO_ANSWER a;
    call(&fx, "POST", "/api/auth/sign-in/email", NULL, S(BODY), &a);
    assert_int_equal(a.status, 200);
    pick(a.head, "Set-Cookie: ", ';', b->cookie, sizeof b->cookie);
    pick(a.body, "\"csrfToken\":\"", '"', b->csrf, sizeof b->csrf);
}

void test_people__sign_in_work_and_sign_out(void **state)
{
    AUTO_ANSWER list;
    AUTO_ANSWER made;
    AUTO_ANSWER table;
    AUTO_ANSWER read;
    AUTO_ANSWER out;
    AUTO_ANSWER after;
    struct browser b;
    (void)state;
    sign_in(&b);
    ask(&b, "GET", "/api/namespaces", (struct str){NULL, 0}, &list);
    assert_true(list.status == 200 && answer_has(&list, "\"role\":\"owner\""));
    ask(&b, "POST", "/api/namespaces", S("{\"slug\":\"works\"}"), &made);
    assert_int_equal(made.status, 200);
    ask(&b, "POST", "/api/namespaces/works/databases", S("{\"slug\":\"main\"}"), &table);
    assert_int_equal(table.status, 200);
    ask(&b, "GET", "/api/namespaces/works/databases/main/export", (struct str){NULL, 0}, &read);
    assert_true(read.status == 200 && answer_has(&read, "COMMIT"));
    ask(&b, "POST", "/api/auth/sign-out", S(""), &out);
    assert_int_equal(out.status, 200);
    ask(&b, "GET", "/api/namespaces", (struct str){NULL, 0}, &after);
    assert_int_equal(after.status, 401);
}

void test_people__a_new_secret_ends_the_old_one_in_the_cache(void **state)
{
    AUTO_ANSWER before;
    AUTO_ANSWER confirm;
    AUTO_ANSWER old;
    AUTO_ANSWER fresh;
    struct browser b, later;
    (void)state;
    sign_in(&b);
    ask(&b, "GET", "/api/auth/get-session", (struct str){NULL, 0}, &before);
    assert_int_equal(before.status, 200);
    ask(&b, "POST", "/api/auth/confirm-password", S("{\"password\":\"seven grey geese over the harbour\"}"),
        &confirm);
    assert_int_equal(confirm.status, 200);
    pick(confirm.head, "Set-Cookie: ", ';', later.cookie, sizeof later.cookie);
    pick(confirm.body, "\"csrfToken\":\"", '"', later.csrf, sizeof later.csrf);
    ask(&b, "GET", "/api/auth/get-session", (struct str){NULL, 0}, &old);
    assert_int_equal(old.status, 401);
    ask(&later, "GET", "/api/auth/get-session", (struct str){NULL, 0}, &fresh);
    assert_int_equal(fresh.status, 200);
}

/* All at once, half of them clients that leave before their answer. */
void test_people__many_sign_in_at_once(void **state)
{
    struct client clients[SIGN_INS];
    (void)state;
    for (int i = 0; i < SIGN_INS; i++) {
        client_open(&clients[i], &fx);
        client_send(&clients[i], "POST", "/api/auth/sign-in/email", NULL, "", S(BODY));
        if (i % 2)
            client_close(&clients[i]);
    }
    for (int i = 0; i < SIGN_INS; i += 2) {
        AUTO_ANSWER a;
        client_read(&clients[i], &a);
        assert_true(a.status == 200 || a.status == 429); /* one account's attempts count until they succeed */
        client_close(&clients[i]);
    }
}
