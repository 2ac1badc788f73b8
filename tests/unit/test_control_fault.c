/* Whatever allocation, write or fsync fails, an operation on people and their roles leaves the control
 * database as it was, its audit rows included, or does all of what it does. */
#include "account/session.h"
#include "lib/control_fault.h"
#include "lib/unit.h"
#include "tenant/invitation.h"
#include "tenant/share.h"

static struct control_fixture fx;
static struct account owner, guest, invited;
static struct person session;
static struct registry_entry base, shared;
static struct invitation invitation;
static struct secret invitation_secret;

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

static enum err_code revoke_invitation(void)
{
    return invitation_revoke(fx.db, &TEST_ACTOR, &fx.tenant.id, id_str(&invitation.id), NULL);
}

static enum err_code accept_invitation(void)
{
    struct membership made;
    return invitation_accept(fx.db, &TEST_ACTOR, secret_reveal(&invitation_secret), &invited.id,
        S("invited@example.com"), &made, NULL);
}

static enum err_code share(void)
{
    return share_set(
        fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, &base.id, id_str(&guest.id), MEMBER_EDITOR, NULL);
}

static enum err_code share_otherwise(void)
{
    return share_set(
        fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, &shared.id, id_str(&guest.id), MEMBER_VIEWER, NULL);
}

static enum err_code share_no_more(void)
{
    return share_remove(fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, &shared.id, id_str(&guest.id), NULL);
}

static const struct control_operation OPERATIONS[] = {
    {"sign in", sign_in},
    {"renew a session", renew},
    {"rotate a session", rotate},
    {"end all sessions", end_all},
    {"set a password", set_hash},
    {"change a role", change_role},
    {"remove a member", remove_member},
    {"invite", invite},
    {"revoke an invitation", revoke_invitation},
    {"accept an invitation", accept_invitation},
    {"share a database", share},
    {"share it in another role", share_otherwise},
    {"share it no more", share_no_more},
};

static struct account make_account(struct str email)
{
    struct account made;
    must(account_create(fx.db, &TEST_ACTOR, &(struct account_new){email, STR_EMPTY, "hash"}, &made, NULL));
    return made;
}

static struct registry_entry make_database(struct str slug)
{
    struct registry_entry made;
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, slug, STR_EMPTY, S("auto"), &made, NULL));
    return made;
}

static void prepare(void)
{
    struct secret secret = SECRET_INIT;
    control_fixture_init(&fx);
    base = make_database(S("main"));
    shared = make_database(S("shared"));
    must(tx_begin_write(fx.db, NULL));
    owner = make_account(S("own@example.com"));
    guest = make_account(S("guest@example.com"));
    invited = make_account(S("invited@example.com"));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &owner.id, MEMBER_OWNER, NULL));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &guest.id, MEMBER_VIEWER, NULL));
    must(session_create(fx.db, &TEST_ACTOR, &guest.id, STR_EMPTY, STR_EMPTY, &session, &secret, NULL));
    must(invitation_create(fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, S("invited@example.com"),
        S("invited@example.com"), MEMBER_EDITOR, &invitation, &invitation_secret, NULL));
    must(share_set(
        fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, &shared.id, id_str(&guest.id), MEMBER_EDITOR, NULL));
    must(tx_commit(fx.db, NULL));
}

static const struct control_fault PEOPLE = {&fx, prepare, NULL, OPERATIONS, ARRAY_LEN(OPERATIONS)};

void test_control_fault__all_or_nothing_without_memory(void **state)
{
    (void)state;
    control_fault_run(&PEOPLE, FAULT_SQLITE_MEM);
}

void test_control_fault__all_or_nothing_on_a_full_disk(void **state)
{
    (void)state;
    control_fault_run(&PEOPLE, FAULT_SQLITE_WRITE);
}

void test_control_fault__all_or_nothing_when_fsync_fails(void **state)
{
    (void)state;
    control_fault_run(&PEOPLE, FAULT_SQLITE_SYNC);
}
