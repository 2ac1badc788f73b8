/* Whatever allocation, write or fsync fails, an operation on people and their roles leaves the control
 * database as it was, its audit rows included, or does all of what it does. */
#include "account/session.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "lib/fault.h"
#include "lib/unit.h"
#include "tenant/invitation.h"
#include "tenant/member.h"
#include <string.h>

static struct control_fixture fx;
static struct account owner, guest;
static struct person session;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static enum err_code sign_in(void)
{
    struct person p;
    struct secret secret = SECRET_INIT;
    return session_create(fx.db, &TEST_ACTOR, &guest.id, S("203.0.113.7"), S("curl"), &p, &secret, NULL);
}

static enum err_code renew(void)
{
    struct secret secret = SECRET_INIT;
    return session_renew(fx.db, &TEST_ACTOR, &session.session_id, &secret, NULL);
}

static enum err_code rotate(void)
{
    struct secret secret = SECRET_INIT;
    return session_rotate(fx.db, &TEST_ACTOR, &session.session_id, &secret, NULL);
}

static enum err_code end_all(void)
{
    return session_end_all(fx.db, &TEST_ACTOR, &guest.id, NULL, NULL);
}

static enum err_code set_hash(void)
{
    return account_set_hash(fx.db, &TEST_ACTOR, &guest.id, "another", true, NULL);
}

static enum err_code change_role(void)
{
    return member_change(fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, id_str(&guest.id), MEMBER_ADMIN, NULL);
}

static enum err_code remove_member(void)
{
    return member_change(fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, id_str(&guest.id), MEMBER_NONE, NULL);
}

static enum err_code invite(void)
{
    struct invitation made;
    struct secret secret = SECRET_INIT;
    return invitation_create(fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, S("new@example.com"),
        S("new@example.com"), MEMBER_EDITOR, &made, &secret, NULL);
}

static enum err_code (*const OPERATIONS[])(void) = {
    sign_in, renew, rotate, end_all, set_hash, change_role, remove_member, invite};

static enum err_code in_transaction(enum err_code (*fn)(void))
{
    enum err_code code = tx_begin_write(fx.db, NULL);
    return code ? code : tx_end(fx.db, fn(), NULL);
}

static void prepare(void)
{
    struct secret secret = SECRET_INIT;
    control_fixture_init(&fx);
    must(tx_begin_write(fx.db, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){S("own@example.com"), STR_EMPTY, "hash"}, &owner, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){S("guest@example.com"), STR_EMPTY, "hash"}, &guest, NULL));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &owner.id, MEMBER_OWNER, NULL));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &guest.id, MEMBER_VIEWER, NULL));
    must(session_create(fx.db, &TEST_ACTOR, &guest.id, STR_EMPTY, STR_EMPTY, &session, &secret, NULL));
    must(tx_commit(fx.db, NULL));
}

/* Until it succeeds for the first time, it has done nothing. */
static void run_under(enum fault_kind kind, enum err_code (*fn)(void))
{
    bool done = false;
    fault_start(kind);
    prepare();
    char *before = control_fixture_dump(&fx);
    while (fault_next() && !done) {
        fault_off();
        control_fixture_reopen(&fx); /* no cached statements: preparing may fail too */
        fault_rearm();
        done = in_transaction(fn) == ERR_OK;
        fault_off();
        control_fixture_reopen(&fx);
        char *after = control_fixture_dump(&fx);
        assert_int_equal(strcmp(before, after) == 0, !done);
        mem_free(after);
    }
    assert_true(done);
    assert_in_range(fault_points(), 1, 2000);
    mem_free(before);
    fault_off();
    control_fixture_release(&fx);
}

static void run_all(enum fault_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(OPERATIONS); i++)
        run_under(kind, OPERATIONS[i]);
}

void test_control_fault__all_or_nothing_without_memory(void **state)
{
    (void)state;
    run_all(FAULT_SQLITE_MEM);
}

void test_control_fault__all_or_nothing_on_a_full_disk(void **state)
{
    (void)state;
    run_all(FAULT_SQLITE_WRITE);
}

void test_control_fault__all_or_nothing_when_fsync_fails(void **state)
{
    (void)state;
    run_all(FAULT_SQLITE_SYNC);
}
