/* Codes, families, access and refresh tokens: what they are bound to, that each is used once, what a replay
 * and a withdrawal end, and that a token never reaches further than its person. */
#include "account/account.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"
#include "oauth/access.h"
#include "tenant/member.h"
#include "token/token.h"
#include <pthread.h>

#define T0        1800000000000
#define VERIFIER  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define REDIRECT  "https://app.example.com/cb"
#define NONE      ((struct str){NULL, 0})

static struct control_fixture fx;
static struct arena arena;
static struct account ada;
static struct client app, other;
static struct registry_entry base;
static struct grant grant;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static struct client make_client(bool refreshes)
{
    static const struct str URI = {REDIRECT, sizeof REDIRECT - 1};
    struct client c;
    struct secret secret = SECRET_INIT;
    struct refusal no = {OAUTH_OK, NULL};
    must(tx_begin_write(fx.db, NULL));
    must(client_create(fx.db, &TEST_ACTOR,
        &(struct client_new){.namespace_id = fx.tenant.id,
            .name = S("Notes"),
            .refreshes = refreshes,
            .redirects = &URI,
            .redirect_count = 1},
        &c, &secret, &no, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(no.error, OAUTH_OK);
    return c;
}

static void give(unsigned scope)
{
    must(tx_begin_write(fx.db, NULL));
    must(grant_give(
        fx.db, &TEST_ACTOR, &ada.id, &app, scope, scope & SCOPE_DATABASE ? &base.id : NULL, &grant, NULL));
    must(tx_commit(fx.db, NULL));
}

static void begin(bool refreshes, unsigned scope)
{
    clock_test_set(1000000, T0);
    arena_init(&arena, 1 << 20);
    control_fixture_init(&fx);
    must(tx_begin_write(fx.db, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){S("ada@example.com"), S("Ada"), "hash"}, &ada, NULL));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &ada.id, MEMBER_OWNER, NULL));
    must(tx_commit(fx.db, NULL));
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), STR_EMPTY, S("auto"), &base, NULL));
    app = make_client(refreshes);
    other = make_client(refreshes);
    give(scope);
}

static void end(void)
{
    control_fixture_release(&fx);
    arena_release(&arena);
    clock_test_stop();
}

static struct code_new good_code(unsigned scope)
{
    return (struct code_new){.grant_id = grant.id,
        .redirect_uri = S(REDIRECT),
        .challenge = S(CHALLENGE),
        .scope = scope,
        .resource = S("https://db.example.com"),
        .nonce = S("n-0S6"),
        .auth_time = T0 - 5000};
}

static void make_code(const struct code_new *in, struct secret *ret)
{
    must(tx_begin_write(fx.db, NULL));
    must(code_create(fx.db, in, ret, NULL));
    must(tx_commit(fx.db, NULL));
}

static struct code_use good_use(const struct secret *code)
{
    return (struct code_use){.client = &app,
        .code = secret_reveal(code),
        .redirect_uri = S(REDIRECT),
        .verifier = S(VERIFIER),
        .resource = NONE};
}

static enum oauth_error redeem_by(
    struct db *db, struct arena *a, const struct code_use *use, struct family *f, struct issued *ret)
{
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code code = tx_begin_write(db, NULL);
    if (!code)
        code = code_redeem(db, &TEST_ACTOR, use, f, &no, NULL);
    if (!code && !no.error)
        code = access_issue(db, &TEST_ACTOR, a, use->client, f, ret, &no, NULL);
    code = tx_end(db, code, NULL);
    return code ? OAUTH_SERVER_ERROR : no.error;
}

static enum oauth_error redeem(const struct code_use *use, struct issued *ret)
{
    struct family f;
    *ret = (struct issued){.scope = 0};
    return redeem_by(fx.db, &arena, use, &f, ret);
}

static enum oauth_error refresh(
    const struct client *c, const struct secret *token, const char *scope, struct issued *ret)
{
    struct family f;
    struct refusal no = {OAUTH_OK, NULL};
    struct refresh_use use = {
        .client = c, .token = secret_reveal(token), .has_scope = scope != NULL, .resource = NONE};
    struct issued made = {.scope = 0};
    assert_true(!scope || scope_parse(str_of(scope), &use.scope));
    must(tx_begin_write(fx.db, NULL));
    must(access_refresh(fx.db, &TEST_ACTOR, &arena, &use, &f, &made, &no, NULL));
    must(tx_commit(fx.db, NULL));
    *ret = made;
    return no.error;
}

static enum err_code as_bearer(const struct secret *access, enum wire_role *ret_role)
{
    struct digest hash;
    struct identity *who = NULL;
    enum err_code code = token_parse(secret_reveal(access), &hash, NULL);
    if (!code)
        code = token_lookup(fx.db, &hash, &who, NULL);
    if (!code) {
        *ret_role = who->role;
        assert_string_equal(who->database_id.text, base.id.text);
    }
    identity_free(who);
    return code;
}

static bool alive(const struct secret *token)
{
    struct access_info info;
    return access_look(fx.db, secret_reveal(token), &info, NULL) == ERR_OK;
}

static void expect_dead(const struct issued *i)
{
    enum wire_role role;
    assert_false(alive(&i->access));
    assert_false(i->refresh.len && alive(&i->refresh));
    assert_int_equal(as_bearer(&i->access, &role), ERR_UNAUTHORIZED);
}

/* --- Codes --- */

void test_oauth_tokens__a_code_gives_a_token_for_one_database(void **state)
{
    struct secret code = SECRET_INIT;
    struct issued got;
    struct access_info info;
    enum wire_role role;
    (void)state;
    begin(false, SCOPE_OPENID | SCOPE_DATABASE);
    struct code_new in = good_code(SCOPE_OPENID | SCOPE_DATABASE);
    make_code(&in, &code);
    struct code_use use = good_use(&code);
    assert_int_equal(redeem(&use, &got), OAUTH_OK);
    assert_true(str_starts(secret_reveal(&got.access), S("psql_live_")));
    assert_int_equal(got.refresh.len, 0);
    assert_int_equal(got.expires_in_s, 0);
    must(as_bearer(&got.access, &role));
    assert_int_equal(role, WIRE_ROLE_ADMIN);
    must(access_look(fx.db, secret_reveal(&got.access), &info, NULL));
    assert_string_equal(info.client_id, app.client_id);
    assert_string_equal(info.email, "ada@example.com");
    assert_string_equal(info.resource, "https://db.example.com");
    assert_int_equal(info.scope, SCOPE_OPENID | SCOPE_DATABASE);
    char *dump = control_fixture_dump(&fx);
    assert_null(strstr(dump, code.bytes));
    assert_null(strstr(dump, got.access.bytes));
    mem_free(dump);
    end();
}

void test_oauth_tokens__a_login_token_opens_no_database(void **state)
{
    struct secret code = SECRET_INIT;
    struct issued got;
    enum wire_role role;
    (void)state;
    begin(true, SCOPE_OPENID | SCOPE_EMAIL);
    struct code_new in = good_code(SCOPE_OPENID | SCOPE_EMAIL);
    make_code(&in, &code);
    struct code_use use = good_use(&code);
    assert_int_equal(redeem(&use, &got), OAUTH_OK);
    assert_int_equal(got.expires_in_s, 3600);
    assert_true(alive(&got.access) && alive(&got.refresh));
    assert_int_equal(as_bearer(&got.access, &role), ERR_UNAUTHORIZED);
    assert_int_equal(as_bearer(&got.refresh, &role), ERR_UNAUTHORIZED);
    clock_test_advance(3600LL * 1000000);
    assert_false(alive(&got.access));
    end();
}

void test_oauth_tokens__what_a_code_is_bound_to(void **state)
{
    struct secret code = SECRET_INIT, junk = SECRET_INIT;
    struct issued got;
    (void)state;
    begin(false, SCOPE_OPENID | SCOPE_DATABASE);
    struct code_new in = good_code(SCOPE_OPENID);
    make_code(&in, &code);
    token_generate(TOKEN_CODE, &junk);
    struct code_use good = good_use(&code);
    struct {
        const char *name;
        struct code_use use;
        enum oauth_error error;
    } rows[] = {{"another client", good, OAUTH_INVALID_GRANT}, {"another address", good, OAUTH_INVALID_GRANT},
        {"no address", good, OAUTH_INVALID_GRANT}, {"an unknown code", good, OAUTH_INVALID_GRANT},
        {"no code", good, OAUTH_INVALID_GRANT}, {"no verifier", good, OAUTH_INVALID_GRANT},
        {"the challenge as verifier", good, OAUTH_INVALID_GRANT},
        {"a short verifier", good, OAUTH_INVALID_GRANT}, {"another verifier", good, OAUTH_INVALID_GRANT},
        {"another resource", good, OAUTH_INVALID_TARGET}};
    rows[0].use.client = &other;
    rows[1].use.redirect_uri = S(REDIRECT "/");
    rows[2].use.redirect_uri = STR_EMPTY;
    rows[3].use.code = secret_reveal(&junk);
    rows[4].use.code = STR_EMPTY;
    rows[5].use.verifier = NONE;
    rows[6].use.verifier = S(CHALLENGE);
    rows[7].use.verifier = S("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX");
    rows[8].use.verifier = S("xBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    rows[9].use.resource = S("https://other.example.com");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_row(redeem(&rows[i].use, &got) == rows[i].error, rows[i].name);
    good.resource = S("https://db.example.com");
    assert_int_equal(redeem(&good, &got), OAUTH_OK); /* none of these used it up */
    end();
}

void test_oauth_tokens__a_code_without_pkce_takes_no_verifier(void **state)
{
    struct secret code = SECRET_INIT;
    struct issued got;
    (void)state;
    begin(false, SCOPE_OPENID);
    struct code_new in = good_code(SCOPE_OPENID);
    in.challenge = NONE;
    make_code(&in, &code);
    struct code_use use = good_use(&code);
    assert_int_equal(redeem(&use, &got), OAUTH_INVALID_GRANT); /* a downgrade, RFC 9700, 2.1.1 */
    use.verifier = NONE;
    assert_int_equal(redeem(&use, &got), OAUTH_OK);
    end();
}

void test_oauth_tokens__a_code_holds_for_a_minute(void **state)
{
    struct secret code = SECRET_INIT;
    struct issued got;
    (void)state;
    begin(false, SCOPE_OPENID);
    struct code_new in = good_code(SCOPE_OPENID);
    make_code(&in, &code);
    clock_test_advance(LIMIT_OAUTH_CODE_MS * 1000);
    struct code_use use = good_use(&code);
    assert_int_equal(redeem(&use, &got), OAUTH_INVALID_GRANT);
    make_code(&in, &code);
    clock_test_advance(LIMIT_OAUTH_CODE_MS * 1000 - 1000);
    use = good_use(&code);
    assert_int_equal(redeem(&use, &got), OAUTH_OK);
    end();
}

void test_oauth_tokens__a_code_that_comes_twice_ends_what_it_gave(void **state)
{
    struct secret code = SECRET_INIT, second = SECRET_INIT;
    struct issued got, more, none;
    (void)state;
    begin(true, SCOPE_OPENID | SCOPE_DATABASE);
    struct code_new in = good_code(SCOPE_OPENID | SCOPE_DATABASE);
    make_code(&in, &code);
    make_code(&in, &second);
    struct code_use use = good_use(&code), use2 = good_use(&second), foreign = use;
    assert_int_equal(redeem(&use, &got), OAUTH_OK);
    assert_int_equal(redeem(&use2, &more), OAUTH_OK);
    foreign.client = &other;
    assert_int_equal(redeem(&foreign, &none), OAUTH_INVALID_GRANT);
    assert_true(alive(&got.access)); /* another client's replay ends nothing */
    assert_int_equal(redeem(&use, &none), OAUTH_INVALID_GRANT);
    assert_int_equal(none.access.len, 0);
    expect_dead(&got);
    assert_true(alive(&more.access) && alive(&more.refresh)); /* another family of the same grant */
    assert_int_equal(redeem(&use, &none), OAUTH_INVALID_GRANT);
    end();
}

/* --- 100 at once --- */

struct racer {
    pthread_t thread;
    struct code_use use;
    struct issued got;
    enum oauth_error error;
};

static pthread_barrier_t gate;

static void *race(void *arg)
{
    struct racer *r = arg;
    struct db *db = NULL;
    struct arena a;
    struct family f;
    enum err_code code = control_connect(&fx.control, DB_WRITE, &db, NULL);
    arena_init(&a, 1 << 20);
    (void)pthread_barrier_wait(&gate);
    /* busy is not an answer: every one asks until it has one */
    do
        r->error = code ? OAUTH_SERVER_ERROR : redeem_by(db, &a, &r->use, &f, &r->got);
    while (!code && r->error == OAUTH_SERVER_ERROR);
    arena_release(&a);
    db_close(db);
    return NULL;
}

void test_oauth_tokens__of_a_hundred_at_once_one_wins_and_the_others_end_what_it_got(void **state)
{
    enum { RACERS = 100 };
    static struct racer racers[RACERS];
    struct secret code = SECRET_INIT;
    const struct racer *winner = NULL;
    int refused = 0;
    (void)state;
    begin(true, SCOPE_OPENID | SCOPE_DATABASE);
    struct code_new in = good_code(SCOPE_OPENID | SCOPE_DATABASE);
    make_code(&in, &code);
    assert_int_equal(pthread_barrier_init(&gate, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.use = good_use(&code)};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    assert_int_equal(pthread_barrier_destroy(&gate), 0);
    for (int i = 0; i < RACERS; i++) {
        refused += racers[i].error == OAUTH_INVALID_GRANT;
        if (racers[i].error == OAUTH_OK) {
            assert_null(winner);
            winner = &racers[i];
        }
    }
    assert_non_null(winner);
    assert_int_equal(refused, RACERS - 1);
    expect_dead(&winner->got);
    end();
}

/* --- Refresh tokens --- */

static void start(unsigned scope, struct issued *ret)
{
    struct secret code = SECRET_INIT;
    begin(true, scope);
    struct code_new in = good_code(scope);
    make_code(&in, &code);
    struct code_use use = good_use(&code);
    assert_int_equal(redeem(&use, ret), OAUTH_OK);
}

void test_oauth_tokens__a_refresh_token_is_used_once_and_a_replay_ends_the_family(void **state)
{
    struct issued first, second, third, none;
    (void)state;
    start(SCOPE_OPENID | SCOPE_DATABASE, &first);
    assert_int_equal(refresh(&app, &first.refresh, NULL, &second), OAUTH_OK);
    assert_int_equal(second.expires_in_s, 3600);
    assert_int_equal(refresh(&app, &second.refresh, NULL, &third), OAUTH_OK);
    assert_int_equal(refresh(&other, &first.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    assert_true(alive(&third.access) && alive(&third.refresh)); /* another client's replay ends nothing */
    assert_int_equal(refresh(&app, &first.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    assert_int_equal(none.access.len + none.refresh.len, 0);
    expect_dead(&first);
    expect_dead(&second);
    expect_dead(&third);
    assert_int_equal(refresh(&app, &third.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    end();
}

static void token_of(const struct secret *access, struct id *ret)
{
    struct digest hash;
    struct identity *who = NULL;
    must(token_parse(secret_reveal(access), &hash, NULL));
    must(token_lookup(fx.db, &hash, &who, NULL));
    *ret = who->token_id;
    identity_free(who);
}

static enum err_code revoke_by_id(const struct id *token)
{
    must(tx_begin_write(fx.db, NULL));
    return tx_end(fx.db, access_revoke_token(fx.db, &TEST_ACTOR, &fx.tenant.id, id_str(token), NULL), NULL);
}

/* An admin sees only the token in the list, and means the access. */
void test_oauth_tokens__revoking_the_token_of_a_program_ends_its_family(void **state)
{
    struct issued first, second, third;
    struct id token, missing = {"tok_missing"};
    (void)state;
    start(SCOPE_OPENID | SCOPE_DATABASE, &first);
    assert_int_equal(refresh(&app, &first.refresh, NULL, &second), OAUTH_OK);
    token_of(&first.access, &token);
    must(revoke_by_id(&token));
    expect_dead(&first);
    expect_dead(&second);
    assert_int_equal(refresh(&app, &second.refresh, NULL, &third), OAUTH_INVALID_GRANT);
    assert_int_equal(third.access.len, 0);
    must(revoke_by_id(&token)); /* again is fine */
    assert_int_equal(revoke_by_id(&missing), ERR_NOT_FOUND);
    char *dump = control_fixture_dump(&fx);
    const char *row = strstr(dump, "oauth_token.ended");
    assert_true(row && !strstr(row + 1, "oauth_token.ended"));
    mem_free(dump);
    end();
}

/* A family that a token revoked before was left with. */
void test_oauth_tokens__revoking_again_ends_what_was_left(void **state)
{
    struct issued first, second;
    struct id token;
    (void)state;
    start(SCOPE_OPENID | SCOPE_DATABASE, &first);
    token_of(&first.access, &token);
    must(tx_begin_write(fx.db, NULL));
    must(tx_end(fx.db, token_revoke(fx.db, &TEST_ACTOR, &fx.tenant.id, id_str(&token), NULL), NULL));
    must(revoke_by_id(&token));
    assert_int_equal(refresh(&app, &first.refresh, NULL, &second), OAUTH_INVALID_GRANT);
    end();
}

void test_oauth_tokens__a_refresh_may_narrow_but_not_widen(void **state)
{
    struct issued first, narrow, wide, none;
    struct access_info info;
    (void)state;
    start(SCOPE_OPENID | SCOPE_EMAIL, &first);
    assert_int_equal(refresh(&app, &first.refresh, "openid profile", &none), OAUTH_INVALID_SCOPE);
    assert_int_equal(refresh(&app, &first.refresh, "database", &none), OAUTH_INVALID_SCOPE);
    assert_int_equal(refresh(&app, &first.refresh, "unknown", &none), OAUTH_INVALID_SCOPE);
    assert_int_equal(
        refresh(&app, &first.refresh, "openid", &narrow), OAUTH_OK); /* the refusals did not use it up */
    must(access_look(fx.db, secret_reveal(&narrow.access), &info, NULL));
    assert_int_equal(info.scope, SCOPE_OPENID);
    assert_int_equal(refresh(&app, &narrow.refresh, NULL, &wide),
        OAUTH_OK); /* RFC 6749, 6: of the refresh token's own scope */
    assert_int_equal(wide.scope, SCOPE_OPENID | SCOPE_EMAIL);
    end();
}

void test_oauth_tokens__what_a_refresh_token_is_bound_to(void **state)
{
    struct issued first, none;
    struct secret junk = SECRET_INIT;
    (void)state;
    start(SCOPE_OPENID, &first);
    token_generate(TOKEN_REFRESH, &junk);
    assert_int_equal(refresh(&app, &junk, NULL, &none), OAUTH_INVALID_GRANT);
    assert_int_equal(refresh(&app, &first.access, NULL, &none), OAUTH_INVALID_GRANT);
    assert_int_equal(refresh(&other, &first.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &TEST_ACTOR, &ada.id, true, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(refresh(&app, &first.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    assert_false(alive(&first.access));
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &TEST_ACTOR, &ada.id, false, NULL));
    must(tx_commit(fx.db, NULL));
    clock_test_advance(LIMIT_OAUTH_REFRESH_MS * 1000);
    assert_int_equal(refresh(&app, &first.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    end();
}

/* --- Ends --- */

static void revoke(const struct client *c, const struct secret *token)
{
    must(tx_begin_write(fx.db, NULL));
    must(access_revoke(fx.db, &TEST_ACTOR, c, secret_reveal(token), NULL));
    must(tx_commit(fx.db, NULL));
}

void test_oauth_tokens__giving_back(void **state)
{
    struct issued got;
    struct secret junk = SECRET_INIT;
    enum wire_role role;
    (void)state;
    start(SCOPE_OPENID | SCOPE_DATABASE, &got);
    token_generate(TOKEN_LIVE, &junk);
    revoke(&app, &junk);
    revoke(&other, &got.access);
    revoke(&other, &got.refresh);
    must(as_bearer(&got.access, &role));
    assert_true(alive(&got.refresh));
    revoke(&app, &got.access);
    assert_int_equal(as_bearer(&got.access, &role), ERR_UNAUTHORIZED);
    assert_true(alive(&got.refresh)); /* an access token ends alone */
    assert_int_equal(refresh(&app, &got.refresh, NULL, &got), OAUTH_OK);
    must(as_bearer(&got.access, &role));
    revoke(&app, &got.refresh);
    expect_dead(&got);
    end();
}

void test_oauth_tokens__withdrawing_ends_all_and_the_database_is_remembered(void **state)
{
    struct issued got, none;
    struct secret code = SECRET_INIT;
    struct grant *list;
    size_t count;
    (void)state;
    start(SCOPE_OPENID | SCOPE_DATABASE, &got);
    struct code_new in = good_code(SCOPE_DATABASE);
    make_code(&in, &code);
    must(grant_list(fx.db, &arena, &ada.id, &list, &count, NULL));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].database_slug, "main");
    must(tx_begin_write(fx.db, NULL));
    must(grant_withdraw(fx.db, &TEST_ACTOR, &ada.id, str_of(app.client_id), NULL));
    assert_int_equal(grant_withdraw(fx.db, &TEST_ACTOR, &ada.id, str_of(app.client_id), NULL), ERR_NOT_FOUND);
    must(tx_commit(fx.db, NULL));
    expect_dead(&got);
    assert_int_equal(refresh(&app, &got.refresh, NULL, &none), OAUTH_INVALID_GRANT);
    struct code_use use = good_use(&code);
    assert_int_equal(redeem(&use, &none), OAUTH_INVALID_GRANT); /* a code on its way, too */
    must(grant_list(fx.db, &arena, &ada.id, &list, &count, NULL));
    assert_int_equal(count, 0);
    must(grant_find(fx.db, &ada.id, &app, &grant, NULL));
    assert_int_equal(grant.scope, 0);
    assert_string_equal(grant.database_id.text, base.id.text);
    end();
}

void test_oauth_tokens__another_database_ends_what_was_given_for_the_old_one(void **state)
{
    struct issued got;
    struct registry_entry second;
    (void)state;
    start(SCOPE_DATABASE, &got);
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("second"), STR_EMPTY, S("auto"), &second, NULL));
    base = second;
    give(SCOPE_DATABASE);
    expect_dead(&got);
    end();
}

void test_oauth_tokens__a_token_reaches_no_further_than_its_person(void **state)
{
    struct issued got;
    enum wire_role role;
    (void)state;
    start(SCOPE_DATABASE, &got);
    must(as_bearer(&got.access, &role));
    assert_int_equal(role, WIRE_ROLE_ADMIN);
    must(tx_begin_write(fx.db, NULL));
    must(db_exec(fx.db, "UPDATE namespace_member SET role = 'viewer'", DB_NO_ARGS, NULL));
    must(tx_commit(fx.db, NULL));
    must(as_bearer(&got.access, &role));
    assert_int_equal(role, WIRE_ROLE_READONLY);
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &TEST_ACTOR, &ada.id, true, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(as_bearer(&got.access, &role), ERR_UNAUTHORIZED);
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &TEST_ACTOR, &ada.id, false, NULL));
    must(db_exec(fx.db, "DELETE FROM namespace_member", DB_NO_ARGS, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(as_bearer(&got.access, &role), ERR_UNAUTHORIZED);
    end();
}

void test_oauth_tokens__a_share_counts_and_a_deleted_client_leaves_nothing(void **state)
{
    struct issued got;
    enum wire_role role;
    struct client c;
    (void)state;
    start(SCOPE_DATABASE, &got);
    must(tx_begin_write(fx.db, NULL));
    must(db_exec(fx.db,
        "INSERT INTO database_share SELECT database_id, account_id, 'viewer', 1 FROM oauth_grant", DB_NO_ARGS,
        NULL));
    must(tx_commit(fx.db, NULL));
    must(as_bearer(&got.access, &role));
    assert_int_equal(role, WIRE_ROLE_READONLY);
    must(tx_begin_write(fx.db, NULL));
    must(client_delete(fx.db, &TEST_ACTOR, &app, NULL));
    must(tx_commit(fx.db, NULL));
    expect_dead(&got);
    must(tx_begin_write(fx.db, NULL));
    must(tenant_delete(fx.db, &TEST_ACTOR, &fx.tenant, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(client_get(fx.db, str_of(other.client_id), &c, NULL), ERR_NOT_FOUND);
    end();
}

void test_oauth_tokens__cleaning_removes_what_nobody_can_use(void **state)
{
    bool left = false;
    struct issued got, more;
    AUTO_STMT st = DB_STMT_INIT;
    (void)state;
    start(SCOPE_DATABASE, &got);
    assert_int_equal(refresh(&app, &got.refresh, NULL, &more), OAUTH_OK);
    must(access_purge(fx.db, &left, NULL));
    assert_true(alive(&more.access) && alive(&more.refresh));
    clock_test_advance((LIMIT_OAUTH_REFRESH_MS + 1) * 1000);
    must(access_purge(fx.db, &left, NULL));
    must(db_query_one(fx.db,
        "SELECT (SELECT count(*) FROM oauth_code) + (SELECT count(*) FROM oauth_access) + (SELECT count(*) "
        "FROM oauth_refresh)"
        " + (SELECT count(*) FROM token)",
        DB_NO_ARGS, &st, NULL));
    assert_int_equal(db_col_int(&st, 0), 0);
    db_stmt_release(&st);
    end();
}
