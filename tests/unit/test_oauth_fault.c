/* Whatever allocation, write or fsync fails, an operation on what programs hold leaves the control database
 * as it was, its audit rows included, or does all of what it does. */
#include "account/account.h"
#include "lib/control_fault.h"
#include "lib/unit.h"
#include "oauth/access.h"
#include "tenant/member.h"
#include "token/token.h"

#define REDIRECT "https://app.example.com/cb"
#define SCOPE    (SCOPE_OPENID | SCOPE_DATABASE)
#define NONE     ((struct str){NULL, 0})

static const struct str URIS[] = {{REDIRECT, sizeof REDIRECT - 1}};

static struct control_fixture fx;
static struct arena arena;
static struct account ada;
static struct client app, fresh; /* `fresh` was given nothing */
static struct registry_entry base, other;
static struct grant grant;
static struct secret unused, redeemed; /* codes */
static struct issued held;
static struct id held_id; /* of the API token in it */

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

/* What is refused has failed. */
static enum err_code unless(enum err_code code, const struct refusal *no)
{
    return !code && no->error ? ERR_FORBIDDEN : code;
}

static enum err_code make_client(struct client *ret)
{
    struct secret secret = SECRET_INIT;
    struct refusal no = {OAUTH_OK, NULL};
    const struct client_new in = {.namespace_id = fx.tenant.id,
        .name = S("Notes"),
        .auth = CLIENT_BASIC,
        .refreshes = true,
        .pkce_optional = true,
        .redirects = URIS,
        .redirect_count = 1,
        .logout_redirects = URIS,
        .logout_redirect_count = 1};
    return unless(client_create(fx.db, &TEST_ACTOR, &in, ret, &secret, &no, NULL), &no);
}

static enum err_code create_client(void)
{
    struct client made;
    return make_client(&made);
}

static enum err_code change_client(void)
{
    static const struct str TO[] = {{"https://new.example.com/cb", 26}, {"http://127.0.0.1/cb", 19}};
    const struct client_change change = {.name = S("Other"), .redirects = TO, .redirect_count = 2};
    struct client made;
    struct refusal no = {OAUTH_OK, NULL};
    return unless(client_change(fx.db, &TEST_ACTOR, &app, &change, &made, &no, NULL), &no);
}

static enum err_code rotate_secret(void)
{
    struct secret secret = SECRET_INIT;
    return client_rotate_secret(fx.db, &TEST_ACTOR, &app, &secret, NULL);
}

static enum err_code delete_client(void)
{
    return client_delete(fx.db, &TEST_ACTOR, &app, NULL);
}

static enum err_code give(void)
{
    struct grant made;
    return grant_give(fx.db, &TEST_ACTOR, &ada.id, &fresh, SCOPE, &base.id, &made, NULL);
}

static enum err_code give_another_database(void)
{
    struct grant made;
    return grant_give(fx.db, &TEST_ACTOR, &ada.id, &app, SCOPE, &other.id, &made, NULL);
}

static enum err_code withdraw(void)
{
    return grant_withdraw(fx.db, &TEST_ACTOR, &ada.id, str_of(app.client_id), NULL);
}

static enum err_code make_code(struct secret *ret)
{
    const struct code_new in = {.grant_id = grant.id,
        .redirect_uri = URIS[0],
        .challenge = NONE,
        .scope = SCOPE,
        .resource = NONE,
        .nonce = S("n-0S6")};
    return code_create(fx.db, &in, ret, NULL);
}

static enum err_code create_code(void)
{
    struct secret code = SECRET_INIT;
    return make_code(&code);
}

static enum err_code redeem_as(
    const struct client *c, const struct secret *code, struct issued *ret, struct refusal *no)
{
    const struct code_use use = {.client = c,
        .code = secret_reveal(code),
        .redirect_uri = URIS[0],
        .verifier = NONE,
        .resource = NONE};
    struct family f;
    enum err_code rc = code_redeem(fx.db, &TEST_ACTOR, &use, &f, no, NULL);
    return rc || no->error ? rc : access_issue(fx.db, &TEST_ACTOR, &arena, c, &f, ret, no, NULL);
}

static enum err_code redeem(void)
{
    struct issued got = {.scope = 0};
    struct refusal no = {OAUTH_OK, NULL};
    return unless(redeem_as(&app, &unused, &got, &no), &no);
}

/* Refused, and the family ends: that is to be whole, too. */
static enum err_code replay(void)
{
    struct issued got = {.scope = 0};
    struct refusal no = {OAUTH_OK, NULL};
    enum err_code rc = redeem_as(&app, &redeemed, &got, &no);
    return !rc && no.error != OAUTH_INVALID_GRANT ? ERR_INTERNAL : rc;
}

static enum err_code refresh(void)
{
    const struct refresh_use use = {.client = &app, .token = secret_reveal(&held.refresh), .resource = NONE};
    struct family f;
    struct issued got = {.scope = 0};
    struct refusal no = {OAUTH_OK, NULL};
    return unless(access_refresh(fx.db, &TEST_ACTOR, &arena, &use, &f, &got, &no, NULL), &no);
}

static enum err_code revoke_access(void)
{
    return access_revoke(fx.db, &TEST_ACTOR, &app, secret_reveal(&held.access), NULL);
}

static enum err_code revoke_refresh(void)
{
    return access_revoke(fx.db, &TEST_ACTOR, &app, secret_reveal(&held.refresh), NULL);
}

static enum err_code revoke_by_id(void)
{
    return access_revoke_token(fx.db, &TEST_ACTOR, &fx.tenant.id, id_str(&held_id), NULL);
}

static const struct control_operation OPERATIONS[] = {
    {"create a client", create_client},
    {"change a client", change_client},
    {"rotate a client's secret", rotate_secret},
    {"delete a client", delete_client},
    {"give access", give},
    {"give access to another database", give_another_database},
    {"withdraw a grant", withdraw},
    {"create a code", create_code},
    {"redeem a code", redeem},
    {"redeem a code again", replay},
    {"refresh", refresh},
    {"revoke an access token", revoke_access},
    {"revoke a refresh token", revoke_refresh},
    {"revoke an access token by its id", revoke_by_id},
};

static struct registry_entry make_database(struct str slug)
{
    struct registry_entry made;
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, slug, STR_EMPTY, S("auto"), &made, NULL));
    return made;
}

static void find_held(void)
{
    AUTO_STMT st = DB_STMT_INIT;
    must(db_query_one(fx.db, "SELECT token_id FROM oauth_access", DB_NO_ARGS, &st, NULL));
    DB_COL_COPY(&st, 0, held_id.text);
    assert_true(held_id.text[0]);
}

static void prepare(void)
{
    struct refusal no = {OAUTH_OK, NULL};
    arena_init(&arena, 10 << 20);
    control_fixture_init(&fx);
    base = make_database(S("main"));
    other = make_database(S("other"));
    must(tx_begin_write(fx.db, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){S("ada@example.com"), S("Ada"), "hash"}, &ada, NULL));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &ada.id, MEMBER_OWNER, NULL));
    must(make_client(&app));
    must(make_client(&fresh));
    must(grant_give(fx.db, &TEST_ACTOR, &ada.id, &app, SCOPE, &base.id, &grant, NULL));
    must(make_code(&unused));
    must(make_code(&redeemed));
    held = (struct issued){.scope = 0};
    must(redeem_as(&app, &redeemed, &held, &no));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(no.error, OAUTH_OK);
    find_held();
}

static void release(void)
{
    arena_release(&arena);
}

static const struct control_fault PROGRAMS = {&fx, prepare, release, OPERATIONS, ARRAY_LEN(OPERATIONS)};

void test_oauth_fault__all_or_nothing_without_memory(void **state)
{
    (void)state;
    control_fault_run(&PROGRAMS, FAULT_SQLITE_MEM);
}

void test_oauth_fault__all_or_nothing_on_a_full_disk(void **state)
{
    (void)state;
    control_fault_run(&PROGRAMS, FAULT_SQLITE_WRITE);
}

void test_oauth_fault__all_or_nothing_when_fsync_fails(void **state)
{
    (void)state;
    control_fault_run(&PROGRAMS, FAULT_SQLITE_SYNC);
}
