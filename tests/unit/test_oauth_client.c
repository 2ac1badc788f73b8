/* Clients: what is refused, who proves himself, what deleting ends. */
#include "base/limits.h"
#include "base/clock.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"
#include "oauth/client.h"

static struct control_fixture fx;
static const struct str URI = {"https://app.example.com/cb", 26};

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static enum oauth_error create_from(
    const char *address, const struct client_new *in, struct client *ret, struct secret *secret)
{
    struct refusal no = {OAUTH_OK, NULL};
    struct actor by = TEST_ACTOR;
    by.address = str_of(address);
    must(tx_begin_write(fx.db, NULL));
    must(client_create(fx.db, &by, in, ret, secret, &no, NULL));
    must(tx_commit(fx.db, NULL));
    return no.error;
}

static enum oauth_error create(const struct client_new *in, struct client *ret, struct secret *secret)
{
    return create_from("", in, ret, secret);
}

static struct client_new plain(void)
{
    return (struct client_new){.namespace_id = fx.tenant.id,
        .name = S("Notes"),
        .auth = CLIENT_BASIC,
        .redirects = &URI,
        .redirect_count = 1};
}

static enum oauth_error prove(const char *client_id, struct str secret)
{
    struct client c;
    struct refusal no = {OAUTH_OK, NULL};
    must(client_authenticate(fx.db, str_of(client_id), secret, &c, &no, NULL));
    return no.error;
}

void test_oauth_client__a_confidential_one_proves_itself_by_its_secret_alone(void **state)
{
    struct client c, other;
    struct secret secret = SECRET_INIT, second = SECRET_INIT;
    struct client_new in;
    const struct str none = {NULL, 0};
    (void)state;
    control_fixture_init(&fx);
    in = plain();
    assert_int_equal(create(&in, &c, &secret), OAUTH_OK);
    assert_int_equal(create(&in, &other, &second), OAUTH_OK);
    assert_true(str_starts(str_of(c.client_id), S("psqlrp_s00_")));
    assert_true(str_starts(secret_reveal(&secret), S("psqlrs_")));
    assert_int_equal(prove(c.client_id, secret_reveal(&secret)), OAUTH_OK);
    assert_int_equal(prove(c.client_id, secret_reveal(&second)), OAUTH_INVALID_CLIENT);
    assert_int_equal(prove(c.client_id, none), OAUTH_INVALID_CLIENT);
    assert_int_equal(prove(c.client_id, S("")), OAUTH_INVALID_CLIENT);
    assert_int_equal(prove("psqlrp_s00_x", secret_reveal(&secret)), OAUTH_INVALID_CLIENT);
    assert_int_equal(prove("", none), OAUTH_INVALID_CLIENT);
    char *dump = control_fixture_dump(&fx);
    assert_null(strstr(dump, secret.bytes)); /* the secret itself is nowhere */
    mem_free(dump);
    must(tx_begin_write(fx.db, NULL));
    must(client_rotate_secret(fx.db, &TEST_ACTOR, &c, &second, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(prove(c.client_id, secret_reveal(&secret)), OAUTH_INVALID_CLIENT);
    assert_int_equal(prove(c.client_id, secret_reveal(&second)), OAUTH_OK);
    ASSERT_AUDIT(
        &fx, "namespace.created oauth_client.created oauth_client.created oauth_client.secret_rotated");
    control_fixture_release(&fx);
}

void test_oauth_client__a_public_one_has_no_secret(void **state)
{
    struct client c;
    struct secret secret = SECRET_INIT;
    struct client_new in;
    (void)state;
    control_fixture_init(&fx);
    in = plain();
    in.auth = CLIENT_NONE;
    assert_int_equal(create(&in, &c, &secret), OAUTH_OK);
    assert_int_equal(secret.len, 0);
    assert_true(c.pkce_required);
    assert_int_equal(prove(c.client_id, (struct str){NULL, 0}), OAUTH_OK);
    assert_int_equal(prove(c.client_id, S("")), OAUTH_INVALID_CLIENT);
    assert_int_equal(prove(c.client_id, S("guess")), OAUTH_INVALID_CLIENT);
    must(tx_begin_write(fx.db, NULL));
    assert_int_equal(client_rotate_secret(fx.db, &TEST_ACTOR, &c, &secret, NULL), ERR_CONFLICT);
    tx_rollback(fx.db);
    in.pkce_optional = true;
    assert_int_equal(create(&in, &c, &secret), OAUTH_INVALID_CLIENT_METADATA);
    control_fixture_release(&fx);
}

void test_oauth_client__what_is_refused_leaves_nothing(void **state)
{
    static const char *const NAMES[] = {"", "   ", "a\nb", "a\x7f", "\xff",
        "a\xe2\x80\xae"
        "b",
        "a\xe2\x80\x8b",
        "a\xc2\x85"
        "b",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901"};
    struct client c;
    struct secret secret = SECRET_INIT;
    struct str many[CLIENT_REDIRECTS_MAX + 1], twice[2] = {URI, URI}, bad = S("http://app.example.com/");
    (void)state;
    control_fixture_init(&fx);
    char *before = control_fixture_dump(&fx);
    struct client_new in = plain();
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        in.name = str_of(NAMES[i]);
        expect_row(create(&in, &c, &secret) == OAUTH_INVALID_CLIENT_METADATA, NAMES[i]);
    }
    in = plain();
    in.redirect_count = 0;
    assert_int_equal(create(&in, &c, &secret), OAUTH_INVALID_REDIRECT_URI);
    in.redirects = twice;
    in.redirect_count = 2;
    assert_int_equal(create(&in, &c, &secret), OAUTH_INVALID_REDIRECT_URI);
    in.redirects = &bad;
    in.redirect_count = 1;
    assert_int_equal(create(&in, &c, &secret), OAUTH_INVALID_REDIRECT_URI);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = S("https://a.example.com/");
    in.redirects = many;
    in.redirect_count = ARRAY_LEN(many);
    assert_int_equal(create(&in, &c, &secret), OAUTH_INVALID_REDIRECT_URI);
    in = plain();
    in.logout_redirects = &bad;
    in.logout_redirect_count = 1;
    assert_int_equal(create(&in, &c, &secret), OAUTH_INVALID_REDIRECT_URI);
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
    control_fixture_release(&fx);
}

void test_oauth_client__those_that_register_themselves_are_counted(void **state)
{
    struct client c;
    struct secret secret = SECRET_INIT;
    (void)state;
    clock_test_set(1000000, 1800000000000);
    control_fixture_init(&fx);
    struct client_new in = plain();
    in.namespace_id = (struct id){""};
    in.auth = CLIENT_NONE;
    for (int i = 0; i < LIMIT_OAUTH_REGISTRATIONS_OF_ADDRESS; i++)
        assert_int_equal(create_from("192.0.2.1", &in, &c, &secret), OAUTH_OK);
    assert_int_equal(create_from("192.0.2.1", &in, &c, &secret), OAUTH_TEMPORARILY_UNAVAILABLE);
    assert_int_equal(create_from("192.0.2.2", &in, &c, &secret), OAUTH_OK); /* nobody else's hour */
    for (int i = LIMIT_OAUTH_REGISTRATIONS_OF_ADDRESS + 1; i < LIMIT_OAUTH_REGISTRATIONS; i++) {
        char address[32];
        str_print(address, sizeof address, "198.51.100.%d", i / 50);
        assert_int_equal(create_from(address, &in, &c, &secret), OAUTH_OK);
    }
    assert_int_equal(create_from("192.0.2.3", &in, &c, &secret), OAUTH_TEMPORARILY_UNAVAILABLE);
    clock_test_advance(3600LL * 1000000);
    assert_int_equal(create(&in, &c, &secret), OAUTH_OK);
    control_fixture_release(&fx);
    clock_test_stop();
}

void test_oauth_client__change_and_delete(void **state)
{
    struct client c, changed;
    struct secret secret = SECRET_INIT;
    struct str fresh = S("https://app.example.com/new"), bad = S("x");
    struct refusal no = {OAUTH_OK, NULL};
    bool allowed;
    (void)state;
    control_fixture_init(&fx);
    struct client_new in = plain();
    assert_int_equal(create(&in, &c, &secret), OAUTH_OK);
    must(client_allows_redirect(fx.db, &c, false, URI, &allowed, NULL));
    assert_true(allowed);
    must(client_allows_redirect(fx.db, &c, true, URI, &allowed, NULL));
    assert_false(allowed); /* of the other kind */
    must(tx_begin_write(fx.db, NULL));
    must(client_change(fx.db, &TEST_ACTOR, &c,
        &(struct client_change){.name = S("Notes 2"), .redirects = &fresh, .redirect_count = 1}, &changed,
        &no, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(no.error, OAUTH_OK);
    assert_string_equal(changed.name, "Notes 2");
    must(client_allows_redirect(fx.db, &c, false, URI, &allowed, NULL));
    assert_false(allowed);
    must(client_allows_redirect(fx.db, &c, false, fresh, &allowed, NULL));
    assert_true(allowed);
    must(tx_begin_write(fx.db, NULL));
    must(client_change(fx.db, &TEST_ACTOR, &c,
        &(struct client_change){.redirects = &bad, .redirect_count = 1}, &changed, &no, NULL));
    tx_rollback(fx.db);
    assert_int_equal(no.error, OAUTH_INVALID_REDIRECT_URI);
    must(tx_begin_write(fx.db, NULL));
    must(client_delete(fx.db, &TEST_ACTOR, &c, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(client_get(fx.db, str_of(c.client_id), &changed, NULL), ERR_NOT_FOUND);
    assert_int_equal(prove(c.client_id, secret_reveal(&secret)), OAUTH_INVALID_CLIENT);
    ASSERT_AUDIT(&fx, "namespace.created oauth_client.created oauth_client.updated oauth_client.deleted");
    control_fixture_release(&fx);
}
