/* Sessions: their secrets, their two lifetimes, rotation, their ends; accounts that are suspended or leave.
 */
#include "account/session.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/token.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"
#include "tenant/member.h"

#define T0 1800000000000

static struct control_fixture fx;
static struct account ada;
static struct actor by;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static struct account make_account(const char *email)
{
    struct account made;
    must(tx_begin_write(fx.db, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){str_of(email), S("Somebody"), "hash"}, &made, NULL));
    must(tx_commit(fx.db, NULL));
    return made;
}

/* Each case has a control database and a clock of its own. */
static void begin(void **state)
{
    (void)state;
    clock_test_set(1000000, T0);
    control_fixture_init(&fx);
    ada = make_account("ada@example.com");
    by = (struct actor){.kind = ACTOR_USER, .user_id = ada.id};
}

static void end(void)
{
    control_fixture_release(&fx);
    clock_test_stop();
}

static struct person sign_in(const struct account *a, struct secret *ret)
{
    struct person p;
    must(tx_begin_write(fx.db, NULL));
    must(session_create(fx.db, &by, &a->id, S("127.0.0.1"), S("curl"), &p, ret, NULL));
    must(tx_commit(fx.db, NULL));
    return p;
}

static enum err_code look(const struct secret *secret, struct person *ret)
{
    struct digest hash;
    must(session_parse(secret_reveal(secret), &hash, NULL));
    return session_lookup(fx.db, &hash, ret, NULL);
}

static void pass_ms(int64_t ms)
{
    clock_test_advance(ms * 1000);
}

void test_account_session__a_cookie_finds_its_person(void **state)
{
    begin(state);
    struct secret secret = SECRET_INIT;
    struct person made = sign_in(&ada, &secret), found;
    char *dump;
    must(look(&secret, &found));
    assert_string_equal(found.account.email, "ada@example.com");
    assert_string_equal(found.account.name, "Somebody");
    assert_string_equal(found.session_id.text, made.session_id.text);
    dump = control_fixture_dump(&fx);
    assert_null(strstr(dump, secret.bytes)); /* the secret itself is nowhere */
    assert_null(strstr(dump, secret.bytes + 20));
    mem_free(dump);
    end();
}

void test_account_session__what_is_no_session(void **state)
{
    begin(state);
    struct secret api = SECRET_INIT, unknown = SECRET_INIT;
    struct person p;
    struct digest hash;
    token_generate(TOKEN_LIVE, &api);
    token_generate(TOKEN_SESSION, &unknown);
    assert_int_equal(session_parse(secret_reveal(&api), &hash, NULL), ERR_UNAUTHORIZED);
    assert_int_equal(session_parse(S(""), &hash, NULL), ERR_UNAUTHORIZED);
    assert_int_equal(session_parse(S("hfs_x"), &hash, NULL), ERR_UNAUTHORIZED);
    assert_int_equal(look(&unknown, &p), ERR_UNAUTHORIZED);
    end();
}

static int64_t count_sessions(void)
{
    AUTO_STMT st = DB_STMT_INIT;
    must(db_query_one(fx.db, "SELECT count(*) FROM session", DB_NO_ARGS, &st, NULL));
    return db_col_int(&st, 0);
}

void test_account_session__ends_without_requests_and_after_all(void **state)
{
    bool left = false;
    begin(state);
    struct secret idle = SECRET_INIT, busy = SECRET_INIT;
    struct person p;
    int64_t step = LIMIT_SESSION_IDLE_MS - 60001; /* a use is written once a minute */
    sign_in(&ada, &idle);
    sign_in(&ada, &busy);
    pass_ms(step);
    must(look(&busy, &p));
    assert_int_equal(p.seen_at, clock_wall_ms());
    pass_ms(60001);
    assert_int_equal(look(&idle, &p), ERR_UNAUTHORIZED);
    for (int64_t passed = LIMIT_SESSION_IDLE_MS; passed + step < LIMIT_SESSION_MS; passed += step) {
        must(look(&busy, &p));
        pass_ms(step);
    }
    must(look(&busy, &p));
    pass_ms(step);
    assert_int_equal(look(&busy, &p), ERR_UNAUTHORIZED); /* however busy */
    assert_int_equal(count_sessions(), 2);
    must(session_purge(fx.db, &left, NULL));
    assert_int_equal(count_sessions(), 0);
    end();
}

void test_account_session__a_rotated_secret_is_worth_nothing(void **state)
{
    begin(state);
    struct secret old = SECRET_INIT, fresh = SECRET_INIT;
    struct person p = sign_in(&ada, &old);
    char before[SESSION_CSRF_SIZE], after[SESSION_CSRF_SIZE];
    pass_ms(LIMIT_CONFIRM_MS);
    must(look(&old, &p));
    assert_false(person_confirmed(&p, clock_wall_ms()));
    must(tx_begin_write(fx.db, NULL));
    must(session_rotate(fx.db, &by, &p.session_id, &fresh, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(look(&old, &p), ERR_UNAUTHORIZED);
    must(look(&fresh, &p));
    assert_true(person_confirmed(&p, clock_wall_ms()));
    session_csrf(secret_reveal(&old), before);
    session_csrf(secret_reveal(&fresh), after);
    assert_string_not_equal(before, after);
    assert_int_equal(strlen(after), 64);
    end();
}

void test_account_session__are_listed_and_ended_by_their_owner_alone(void **state)
{
    begin(state);
    AUTO_ARENA a;
    struct secret one = SECRET_INIT, two = SECRET_INIT, other = SECRET_INIT;
    struct account lin = make_account("lin@example.com");
    struct person first = sign_in(&ada, &one), second, hers = sign_in(&lin, &other), p;
    pass_ms(1);
    second = sign_in(&ada, &two);
    struct session *rows;
    size_t count;
    arena_init(&a, 1 << 20);
    must(session_list(fx.db, &a, &ada.id, &rows, &count, NULL));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].id.text, second.session_id.text);
    assert_string_equal(rows[1].agent, "curl");
    must(tx_begin_write(fx.db, NULL));
    assert_int_equal(session_end(fx.db, &by, &ada.id, id_str(&hers.session_id), NULL), ERR_NOT_FOUND);
    must(session_end(fx.db, &by, &ada.id, id_str(&first.session_id), NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(look(&one, &p), ERR_UNAUTHORIZED);
    must(look(&two, &p));
    must(look(&other, &p));
    must(tx_begin_write(fx.db, NULL));
    must(session_end_all(fx.db, &by, &ada.id, &second.session_id, NULL));
    must(look(&two, &p) ? ERR_INTERNAL : ERR_OK);
    must(session_end_all(fx.db, &by, &ada.id, NULL, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(look(&two, &p), ERR_UNAUTHORIZED);
    must(look(&other, &p));
    end();
}

void test_account_session__the_oldest_goes_when_there_are_too_many(void **state)
{
    begin(state);
    struct secret first = SECRET_INIT, second = SECRET_INIT, more = SECRET_INIT;
    struct person p;
    sign_in(&ada, &first);
    pass_ms(1);
    sign_in(&ada, &second);
    for (int i = 1; i < LIMIT_SESSIONS_PER_ACCOUNT; i++) {
        pass_ms(1);
        sign_in(&ada, &more);
    }
    assert_int_equal(look(&first, &p), ERR_UNAUTHORIZED);
    must(look(&second, &p));
    end();
}

void test_account_session__end_when_the_account_is_suspended(void **state)
{
    begin(state);
    struct secret secret = SECRET_INIT, again = SECRET_INIT;
    struct person p;
    struct account seen;
    sign_in(&ada, &secret);
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &by, &ada.id, true, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(look(&secret, &p), ERR_UNAUTHORIZED);
    must(account_get(fx.db, S("ada@example.com"), &seen, NULL));
    assert_int_equal(seen.suspended_at, clock_wall_ms());
    sign_in(&ada, &again); /* nothing signs a suspended account in, but if it did: */
    assert_int_equal(look(&again, &p), ERR_UNAUTHORIZED);
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &by, &ada.id, false, NULL));
    assert_int_equal(account_suspend(fx.db, &by, &fx.tenant.id, false, NULL), ERR_NOT_FOUND);
    must(tx_commit(fx.db, NULL));
    must(look(&again, &p));
    end();
}

static void join(const struct account *a, enum member_role role)
{
    must(tx_begin_write(fx.db, NULL));
    must(member_add(fx.db, &by, &fx.tenant.id, &a->id, role, NULL));
    must(tx_commit(fx.db, NULL));
}

static enum err_code delete_account(const struct account *a, struct err *err)
{
    enum err_code code = tx_begin_write(fx.db, NULL);
    return code ? code : tx_end(fx.db, account_delete(fx.db, &by, &a->id, err), NULL);
}

void test_account_session__a_namespace_keeps_an_owner_when_one_leaves(void **state)
{
    begin(state);
    struct secret secret = SECRET_INIT;
    struct err err = ERR_INIT;
    struct membership m;
    struct person p;
    struct account lin = make_account("lin@example.com"), max = make_account("max@example.com"),
                   eve = make_account("eve@example.com"), seen;
    sign_in(&ada, &secret);
    join(&ada, MEMBER_OWNER);
    join(&eve, MEMBER_EDITOR);
    assert_int_equal(delete_account(&ada, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "acme"));
    must(look(&secret, &p)); /* nothing happened */
    join(&max, MEMBER_ADMIN);
    pass_ms(1);
    join(&lin, MEMBER_ADMIN);
    must(delete_account(&ada, &err));
    assert_int_equal(look(&secret, &p), ERR_UNAUTHORIZED);
    assert_int_equal(account_get(fx.db, S("ada@example.com"), &seen, NULL), ERR_NOT_FOUND);
    must(member_find(fx.db, S("acme"), &max.id, &m, NULL));
    assert_int_equal(m.role, MEMBER_OWNER);
    must(member_find(fx.db, S("acme"), &lin.id, &m, NULL));
    assert_int_equal(m.role, MEMBER_ADMIN);
    assert_int_equal(member_find(fx.db, S("acme"), &ada.id, &m, NULL), ERR_NOT_FOUND);
    assert_int_equal(member_find(fx.db, S("other"), &max.id, &m, NULL), ERR_NOT_FOUND);
    assert_int_equal(delete_account(&ada, &err), ERR_NOT_FOUND);
    end();
}

void test_account_session__a_deleted_namespace_keeps_nobody_from_leaving(void **state)
{
    begin(state);
    struct err err = ERR_INIT;
    struct account seen;
    join(&ada, MEMBER_OWNER);
    assert_int_equal(delete_account(&ada, &err), ERR_CONFLICT);
    must(tx_begin_write(fx.db, NULL));
    must(tenant_delete(fx.db, &by, &fx.tenant, NULL));
    must(tx_commit(fx.db, NULL));
    must(delete_account(&ada, &err));
    assert_int_equal(account_get(fx.db, S("ada@example.com"), &seen, NULL), ERR_NOT_FOUND);
    end();
}

void test_account_session__signing_up_twice_changes_nothing(void **state)
{
    begin(state);
    struct account lin, again;
    char hash[PASSWORD_HASH_MAX];
    must(tx_begin_write(fx.db, NULL));
    must(account_sign_up(fx.db, &by, &(struct account_new){S("lin@example.com"), S("Lin"), "first"}, NULL));
    must(account_get(fx.db, S("lin@example.com"), &lin, NULL));
    must(account_sign_up(fx.db, &by, &(struct account_new){S("LIN@example.com"), S("Eve"), "second"}, NULL));
    assert_int_equal(
        account_sign_up(fx.db, &by, &(struct account_new){S("x@y"), S("\x01"), "hash"}, NULL), ERR_INVALID);
    must(tx_commit(fx.db, NULL));
    must(account_get(fx.db, S("lin@example.com"), &again, NULL));
    assert_string_equal(again.id.text, lin.id.text);
    assert_string_equal(again.name, "Lin");
    must(account_get_hash(fx.db, &lin.id, hash, NULL));
    assert_string_equal(hash, "first");
    end();
}
