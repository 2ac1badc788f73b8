/* Members, invitations and shares as domain rules; the end of a deleted namespace. What people see of it is
 * tests/e2e/test_members.py. */
#include "account/account.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"
#include "tenant/invitation.h"
#include "tenant/share.h"

#define T0 1800000000000

static struct control_fixture fx;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static void begin(void **state)
{
    (void)state;
    clock_test_set(1000000, T0);
    control_fixture_init(&fx);
}

static void end(void)
{
    control_fixture_release(&fx);
    clock_test_stop();
}

static struct account join(const char *email, enum member_role role)
{
    struct account a;
    clock_test_advance(1000);
    must(tx_begin_write(fx.db, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){str_of(email), STR_EMPTY, "hash"}, &a, NULL));
    if (role)
        must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &a.id, role, NULL));
    must(tx_commit(fx.db, NULL));
    return a;
}

static enum err_code change(const struct account *actor, const struct account *target, enum member_role role)
{
    must(tx_begin_write(fx.db, NULL));
    return tx_end(fx.db,
        member_change(fx.db, &TEST_ACTOR, &fx.tenant, &actor->id, id_str(&target->id), role, NULL), NULL);
}

static enum member_role role_of(const struct account *a)
{
    struct membership m;
    return member_find(fx.db, S("acme"), &a->id, &m, NULL) ? MEMBER_NONE : m.role;
}

void test_member__roles_have_names_and_rights_in_the_engine(void **state)
{
    static const struct {
        enum member_role role;
        const char *name;
        enum wire_role engine;
    } ROWS[] = {{MEMBER_VIEWER, "viewer", WIRE_ROLE_READONLY}, {MEMBER_EDITOR, "editor", WIRE_ROLE_ADMIN},
        {MEMBER_ADMIN, "admin", WIRE_ROLE_ADMIN}, {MEMBER_OWNER, "owner", WIRE_ROLE_ADMIN}};
    enum member_role found;
    (void)state;
    assert_int_equal(ARRAY_LEN(ROWS), MEMBER_ROLE_COUNT - 1);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        expect_row(member_role_parse(str_of(ROWS[i].name), &found) && found == ROWS[i].role, ROWS[i].name);
        expect_row(member_engine_role(ROWS[i].role) == ROWS[i].engine, ROWS[i].name);
        assert_string_equal(member_role_name(ROWS[i].role), ROWS[i].name);
    }
    assert_false(member_role_parse(S("none"), &found));
    assert_false(member_role_parse(S(""), &found));
}

/* Every pair of roles and every wish, against the rule in words: owners may all, admins all but what concerns
 * owners. */
void test_member__who_may_change_whom(void **state)
{
    begin(state);
    struct account spare = join("spare@example.com", MEMBER_OWNER);
    char email[40];
    for (int actor = MEMBER_VIEWER; actor < MEMBER_ROLE_COUNT; actor++)
        for (int before = MEMBER_VIEWER; before < MEMBER_ROLE_COUNT; before++)
            for (int after = MEMBER_NONE; after < MEMBER_ROLE_COUNT; after++) {
                str_print(email, sizeof email, "a%d%d%d@example.com", actor, before, after);
                struct account a = join(email, (enum member_role)actor);
                email[0] = 'b';
                struct account b = join(email, (enum member_role)before);
                bool owners = before == MEMBER_OWNER || after == MEMBER_OWNER;
                bool may = actor == MEMBER_OWNER || (actor == MEMBER_ADMIN && !owners);
                expect_row((change(&a, &b, (enum member_role)after) == ERR_OK) == may, email);
                expect_row(role_of(&b) == (enum member_role)(may ? after : before), email);
            }
    assert_int_equal(role_of(&spare), MEMBER_OWNER);
    end();
}

void test_member__a_role_that_was_lost_meanwhile_counts_for_nothing(void **state)
{
    begin(state);
    struct account one = join("one@example.com", MEMBER_OWNER), two = join("two@example.com", MEMBER_OWNER);
    must(change(&one, &two, MEMBER_VIEWER));
    assert_int_equal(change(&two, &one, MEMBER_VIEWER), ERR_FORBIDDEN);
    assert_int_equal(role_of(&one), MEMBER_OWNER);
    must(change(&two, &two, MEMBER_NONE)); /* leaving is everyone's right */
    assert_int_equal(change(&two, &one, MEMBER_VIEWER), ERR_FORBIDDEN);
    assert_int_equal(change(&one, &one, MEMBER_NONE), ERR_CONFLICT);
    end();
}

void test_member__invitations_end(void **state)
{
    bool left = false;
    begin(state);
    AUTO_ARENA a;
    struct account owner = join("owner@example.com", MEMBER_OWNER),
                   lin = join("lin@example.com", MEMBER_NONE);
    struct invitation made, *rows;
    struct secret secret = SECRET_INIT;
    struct membership m;
    size_t count;
    arena_init(&a, 1 << 20);
    must(tx_begin_write(fx.db, NULL));
    must(invitation_create(fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, S("Lin@example.com"),
        S("lin@example.com"), MEMBER_EDITOR, &made, &secret, NULL));
    must(tx_commit(fx.db, NULL));
    clock_test_advance((LIMIT_INVITATION_MS - 1) * 1000);
    must(invitation_check(fx.db, secret_reveal(&secret), S("lin@example.com"), NULL));
    assert_int_equal(
        invitation_check(fx.db, secret_reveal(&secret), S("eve@example.com"), NULL), ERR_NOT_FOUND);
    must(invitation_list(fx.db, &a, &fx.tenant.id, STR_EMPTY, 10, &rows, &count, NULL));
    assert_int_equal(count, 1);
    clock_test_advance(1000);
    must(invitation_list(fx.db, &a, &fx.tenant.id, STR_EMPTY, 10, &rows, &count, NULL));
    assert_int_equal(count, 0);
    must(tx_begin_write(fx.db, NULL));
    assert_int_equal(tx_end(fx.db,
                         invitation_accept(fx.db, &TEST_ACTOR, secret_reveal(&secret), &lin.id,
                             S("lin@example.com"), &m, NULL),
                         NULL),
        ERR_NOT_FOUND);
    must(invitation_purge(fx.db, &left, NULL));
    char *dump = control_fixture_dump(&fx);
    assert_null(strstr(dump, "Lin@example.com"));
    mem_free(dump);
    end();
}

static void set_deleted(bool deleted)
{
    must(tx_begin_write(fx.db, NULL));
    must(deleted ? tenant_delete(fx.db, &TEST_ACTOR, &fx.tenant, NULL)
                 : tenant_restore(fx.db, &TEST_ACTOR, &fx.tenant, NULL));
    must(tx_commit(fx.db, NULL));
}

void test_member__a_deleted_namespace_ends_after_its_databases(void **state)
{
    bool left = false;
    begin(state);
    struct account owner = join("owner@example.com", MEMBER_OWNER);
    struct registry_entry entry;
    struct tenant due;
    unsigned purged;
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), STR_EMPTY, S("auto"), &entry, NULL));
    must(tx_begin_write(fx.db, NULL));
    must(share_set(
        fx.db, &TEST_ACTOR, &fx.tenant, &owner.id, &entry.id, id_str(&owner.id), MEMBER_VIEWER, NULL));
    must(tx_commit(fx.db, NULL));
    set_deleted(true);
    assert_int_equal(role_of(&owner), MEMBER_NONE);
    clock_test_advance(LIMIT_NAMESPACE_GRACE_MS * 1000 - 1000);
    assert_int_equal(tenant_next_due(fx.db, clock_wall_ms(), &due, NULL), ERR_NOT_FOUND);
    clock_test_advance(1000);
    must(tenant_next_due(fx.db, clock_wall_ms(), &due, NULL));
    assert_string_equal(due.slug, "acme");
    must(registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &entry, NULL));
    assert_int_equal(
        tenant_next_due(fx.db, clock_wall_ms(), &due, NULL), ERR_NOT_FOUND); /* the trash has its time */
    clock_test_advance(LIMIT_TRASH_MS * 1000 + 1000);
    must(registry_purge(fx.db, &fx.disk, clock_wall_ms(), &purged, NULL));
    assert_int_equal(purged, 1);
    must(tenant_next_due(fx.db, clock_wall_ms(), &due, NULL));
    must(tx_begin_write(fx.db, NULL));
    must(tenant_purge(fx.db, &TEST_ACTOR, &due, &left, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(tenant_get(fx.db, S("acme"), &due, NULL), ERR_NOT_FOUND);
    assert_int_equal(tenant_next_due(fx.db, clock_wall_ms(), &due, NULL), ERR_NOT_FOUND);
    end();
}

#define MANY (LIMIT_PURGE_ROWS + 500)
#define SQL_TOKENS                                                                                           \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"                           \
    " INSERT INTO token(id, namespace_id, hash, preview, name, role, has_table_scope, created_at)"           \
    " SELECT 'tok_' || i, ?1, 'hash' || i, '', '', 'readonly', 0, 1 FROM n"
#define SQL_INVITATIONS                                                                                      \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"                           \
    " INSERT INTO invitation(id, namespace_id, email, email_key, role, hash, invited_by, created_at, "       \
    "expires_at) SELECT 'inv_' || i, ?1, i, i, 'viewer', 'hash' || i, 'usr_1', 1, 1 FROM n"

static int64_t rows_of(const char *sql)
{
    AUTO_STMT st = DB_STMT_INIT;
    must(db_query_one_literal(fx.db, sql, DB_NO_ARGS, &st, NULL));
    return db_col_int(&st, 0);
}

/* Whoever wants to write waits for a part of it at most. */
void test_member__much_is_purged_in_parts(void **state)
{
    bool left = false;
    begin(state);
    const struct db_value *many = DB_ARGS(db_text(id_str(&fx.tenant.id)), db_int(MANY));
    must(tx_begin_write(fx.db, NULL));
    must(db_exec(fx.db, SQL_TOKENS, many, NULL));
    must(db_exec(fx.db, SQL_INVITATIONS, many, NULL));
    must(tx_commit(fx.db, NULL));
    must(invitation_purge(fx.db, &left, NULL));
    assert_true(left);
    assert_int_equal(rows_of("SELECT count(*) FROM invitation"), MANY - LIMIT_PURGE_ROWS);
    must(tx_begin_write(fx.db, NULL));
    must(tenant_purge(fx.db, &TEST_ACTOR, &fx.tenant, &left, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(rows_of("SELECT count(*) FROM token"), MANY - LIMIT_PURGE_ROWS);
    assert_int_equal(rows_of("SELECT count(*) FROM namespace"), 1);
    ASSERT_AUDIT(&fx, "namespace.created"); /* it is not gone yet */
    left = false;
    must(tx_begin_write(fx.db, NULL));
    must(tenant_purge(fx.db, &TEST_ACTOR, &fx.tenant, &left, NULL));
    must(tx_commit(fx.db, NULL));
    assert_false(left);
    assert_int_equal(rows_of("SELECT count(*) FROM token"), 0);
    assert_int_equal(rows_of("SELECT count(*) FROM namespace"), 0);
    end();
}

void test_member__a_restored_namespace_is_as_it_was(void **state)
{
    begin(state);
    struct account owner = join("owner@example.com", MEMBER_OWNER);
    struct tenant due;
    set_deleted(true);
    set_deleted(false);
    assert_int_equal(role_of(&owner), MEMBER_OWNER);
    clock_test_advance(LIMIT_NAMESPACE_GRACE_MS * 2000);
    assert_int_equal(tenant_next_due(fx.db, clock_wall_ms(), &due, NULL), ERR_NOT_FOUND);
    end();
}
