/* What reads the tables that grow: every statement of the lists, look-ups, changes and purges of identity
 * finds its rows by an index and in order. SQLite says how it would run each. */
#include "account/account.h"
#include "account/session.h"
#include "audit/checkpoint.h"
#include "audit/list.h"
#include "base/clock.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"
#include "oauth/access.h"
#include "sqlite/db_internal.h"
#include "tenant/invitation.h"
#include "tenant/member.h"
#include "tenant/share.h"
#include "token/token.h"

#define STATEMENTS_MIN 40 /* so that this test really sees them */
#define PAGE           100

static struct control_fixture fx;
static struct arena arena;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static void see_nothing(void *arg, const struct audit_entry *entry)
{
    (void)arg;
    (void)entry;
}

static void run_tokens(void)
{
    bool left = false;
    AUTO_SECRET secret = SECRET_INIT, second = SECRET_INIT;
    const struct token_new in = {.namespace_id = fx.tenant.id, .name = S("ci"), .role = WIRE_ROLE_READONLY};
    struct token made, *rows;
    struct identity *who;
    struct digest hash;
    size_t count;

    must(tx_begin_write(fx.db, NULL));
    must(token_create(fx.db, &TEST_ACTOR, &arena, &in, &made, &secret, NULL));
    must(token_rotate(fx.db, &TEST_ACTOR, &arena, &fx.tenant.id, id_str(&made.id), 60, &made, &second, NULL));
    must(token_touch(fx.db, id_str(&made.id), clock_wall_ms(), NULL));
    must(tx_commit(fx.db, NULL));
    must(token_parse(secret_reveal(&secret), &hash, NULL));
    must(token_lookup(fx.db, &hash, &who, NULL));
    identity_free(who);
    for (int with_revoked = 0; with_revoked < 2; with_revoked++)
        must(token_page(
            fx.db, &arena, &fx.tenant.id, with_revoked, id_str(&made.id), PAGE, &rows, &count, NULL));
    must(tx_begin_write(fx.db, NULL));
    must(token_revoke(fx.db, &TEST_ACTOR, &fx.tenant.id, id_str(&made.id), NULL));
    must(tx_commit(fx.db, NULL));
    must(token_purge(fx.db, &left, NULL));
    must(access_purge(fx.db, &left, NULL));
}

static void run_people(void)
{
    bool left = false;
    AUTO_SECRET secret = SECRET_INIT, link = SECRET_INIT;
    struct account a;
    struct person p;
    struct digest hash;
    struct session *sessions;
    struct invitation invited, *invitations;
    struct membership m, *mine;
    struct member *members;
    size_t count;

    must(tx_begin_write(fx.db, NULL));
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){S("a@b.example"), STR_EMPTY, "h"}, &a, NULL));
    must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &a.id, MEMBER_OWNER, NULL));
    must(session_create(fx.db, &TEST_ACTOR, &a.id, S("::1"), S("test"), &p, &secret, NULL));
    must(invitation_create(fx.db, &TEST_ACTOR, &fx.tenant, &a.id, S("c@d.example"), S("c@d.example"),
        MEMBER_VIEWER, &invited, &link, NULL));
    must(tx_commit(fx.db, NULL));
    must(account_get(fx.db, S("a@b.example"), &a, NULL));
    must(session_parse(secret_reveal(&secret), &hash, NULL));
    must(session_lookup(fx.db, &hash, &p, NULL));
    must(session_list(fx.db, &arena, &a.id, &sessions, &count, NULL));
    must(member_find(fx.db, S("acme"), &a.id, &m, NULL));
    must(member_list(fx.db, &arena, &fx.tenant.id, S(""), PAGE, &members, &count, NULL));
    must(member_list_of(fx.db, &arena, &a.id, S(""), PAGE, &mine, &count, NULL));
    assert_int_equal(count, 1);
    must(invitation_list(fx.db, &arena, &fx.tenant.id, S(""), PAGE, &invitations, &count, NULL));
    must(session_purge(fx.db, &left, NULL));
    must(invitation_purge(fx.db, &left, NULL));
    assert_int_equal(tenant_next_due(fx.db, clock_wall_ms(), &fx.tenant, NULL), ERR_NOT_FOUND);
}

static void run_databases(void)
{
    struct registry_entry made;
    struct share *shares;
    enum member_role role;
    size_t count;
    unsigned purged;

    must(registry_create(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), S(""), S(""), &made, NULL));
    must(registry_lookup(fx.db, S("acme"), S("main"), &made, NULL));
    must(share_role(fx.db, &made.id, &made.id, &role, NULL));
    must(share_list(fx.db, &arena, &made.id, S(""), PAGE, &shares, &count, NULL));
    must(registry_purge(fx.db, &fx.disk, clock_wall_ms(), &purged, NULL));
}

static void run_audit(void)
{
    struct audit_filter all = {.before_ms = INT64_MAX, .action = STR_EMPTY, .limit = PAGE}, one = all;
    struct audit_start start;

    one.action = S("token.created");
    must(audit_begin(fx.db, fx.control.dir, &start, NULL));
    must(audit_page(fx.db, &fx.tenant.id, &all, see_nothing, NULL, NULL));
    must(audit_page(fx.db, &fx.tenant.id, &one, see_nothing, NULL, NULL));
}

/* The newest row alone, at the end of a key. */
static bool may_scan(const char *sql)
{
    return strstr(sql, "FROM audit_checkpoint ORDER BY number DESC LIMIT 1") != NULL;
}

/* How many of its steps are slow. Parameters stay unbound: the plan does not depend on them. */
static unsigned check_plan(const char *sql)
{
    AUTO_STRBUF text;
    unsigned bad = 0;
    sqlite3_stmt *plan = NULL;

    strbuf_init(&text, 1 << 14);
    strbuf_add_cstr(&text, "EXPLAIN QUERY PLAN ");
    strbuf_add_cstr(&text, sql);
    assert_int_equal(sqlite3_prepare_v2(fx.db->handle, strbuf_cstr(&text), -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        bool slow =
            str_starts(str_of(detail), S("SCAN ")) || str_starts(str_of(detail), S("USE TEMP B-TREE"));
        slow &= strcmp(detail, "SCAN CONSTANT ROW") != 0; /* of no table: the parameters themselves */
        if (slow && !may_scan(sql)) {
            print_error("%s in %s\n", detail, sql);
            bad++;
        }
    }
    assert_int_equal(sqlite3_finalize(plan), SQLITE_OK);
    return bad;
}

/* Whatever ran is still in the connection's cache. */
static size_t seen(const char *ret[DB_SLOTS])
{
    size_t count = 0;

    for (size_t i = 0; i < DB_SLOTS; i++)
        if (fx.db->slots[i].sql)
            ret[count++] = fx.db->slots[i].sql;
    return count;
}

void test_plans__identity_finds_its_rows_by_indexes(void **state)
{
    const char *statements[DB_SLOTS];
    unsigned bad = 0;

    (void)state;
    control_fixture_init(&fx);
    arena_init(&arena, 1 << 22);
    run_tokens();
    run_people();
    run_databases();
    run_audit();
    size_t count = seen(statements);
    assert_in_range(count, STATEMENTS_MIN, DB_SLOTS - 1);
    for (size_t i = 0; i < count; i++) {
        bad += check_plan(statements[i]);
        assert_int_equal(bad, 0);
        control_fixture_reopen(
            &fx); /* the cache goes by address, and the text above lies where the one before did */
    }
    arena_release(&arena);
    control_fixture_release(&fx);
}
