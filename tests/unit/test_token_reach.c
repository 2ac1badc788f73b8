/* Where a token may be used from, new secrets for old, and that no token hands on more than it has. */
#include "token/token.h"
#include "account/account.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "lib/fault.h"
#include "sqlite/generation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define START_MS 1000000

static struct arena arena;

int setup_token_reach(void **state)
{
    (void)state;
    arena_init(&arena, 8 << 20);
    return 0;
}

int teardown_token_reach(void **state)
{
    (void)state;
    arena_release(&arena);
    clock_test_stop();
    return 0;
}

static void start(struct control_fixture *fx)
{
    clock_test_set(1, START_MS);
    control_fixture_init(fx);
}

static struct token_new plain(const struct control_fixture *fx)
{
    return (struct token_new){.namespace_id = fx->tenant.id, .name = S("ci"), .role = WIRE_ROLE_ADMIN};
}

static enum err_code create_as(struct control_fixture *fx, const struct actor *by, const struct token_new *in,
    struct token *row, struct secret *secret, struct err *err)
{
    enum err_code code = tx_begin_write(fx->db, err);

    return code ? code : tx_end(fx->db, token_create(fx->db, by, &arena, in, row, secret, err), err);
}

static enum err_code create(
    struct control_fixture *fx, const struct token_new *in, struct token *row, struct secret *secret)
{
    return create_as(fx, &TEST_ACTOR, in, row, secret, NULL);
}

static enum err_code rotate_as(struct control_fixture *fx, const struct actor *by, const struct id *ns,
    struct str id, int64_t overlap_s, struct token *row, struct secret *secret, struct err *err)
{
    enum err_code code = tx_begin_write(fx->db, err);

    return code ? code
                : tx_end(fx->db, token_rotate(fx->db, by, &arena, ns, id, overlap_s, row, secret, err), err);
}

static enum err_code rotate(
    struct control_fixture *fx, const struct token *t, int64_t overlap_s, struct secret *secret)
{
    struct token row;

    return rotate_as(fx, &TEST_ACTOR, NULL, id_str(&t->id), overlap_s, &row, secret, NULL);
}

static enum err_code revoke(struct control_fixture *fx, const struct token *t)
{
    enum err_code code = tx_begin_write(fx->db, NULL);

    return code ? code : tx_end(fx->db, token_revoke(fx->db, &TEST_ACTOR, NULL, id_str(&t->id), NULL), NULL);
}

static enum err_code lookup(struct control_fixture *fx, const struct secret *secret, struct identity **who)
{
    struct digest hash;
    enum err_code code = token_parse(secret_reveal(secret), &hash, NULL);

    return code ? code : token_lookup(fx->db, &hash, who, NULL);
}

static bool opens(struct control_fixture *fx, const struct secret *secret)
{
    struct identity *who = NULL;
    enum err_code code = lookup(fx, secret, &who);

    assert_true(code == ERR_OK || code == ERR_UNAUTHORIZED);
    identity_free(who);
    return code == ERR_OK;
}

static void wait_s(int64_t seconds)
{
    clock_test_advance(seconds * 1000000);
}

/* --- Addresses --- */

void test_token_reach__addresses_come_back_with_the_bearer(void **state)
{
    static const struct str ADDRESSES[] = {
        {"10.0.0.0/8", 10}, {"2001:DB8::/32", 13}, {"::ffff:192.0.2.7", 16}};
    static const struct str TABLES[] = {{"orders", 6}};
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct identity *who = NULL;
    struct token row;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    in.addresses = ADDRESSES;
    in.address_count = 3;
    in.has_table_scope = true;
    in.tables = TABLES;
    in.table_count = 1;
    assert_int_equal(create(&fx, &in, &row, &secret), ERR_OK);
    assert_int_equal(row.address_count, 3);
    assert_true(str_eq(row.addresses[0], S("10.0.0.0/8")));
    assert_true(str_eq(row.addresses[1], S("2001:db8::/32")));
    assert_true(str_eq(row.addresses[2], S("192.0.2.7")));
    assert_int_equal(lookup(&fx, &secret, &who), ERR_OK);
    assert_int_equal(who->network_count, 3);
    assert_true(str_eq(who->tables[0], S("orders"))); /* both lists share a block */
    static const struct {
        const char *address;
        bool admitted;
    } ROWS[] = {{"10.200.0.1", true}, {"::ffff:10.200.0.1", true}, {"11.0.0.1", false}, {"192.0.2.7", true},
        {"192.0.2.8", false}, {"2001:db8:1::5", true}, {"2001:db9::5", false}, {"", false},
        {"nonsense", false}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (identity_admits(who, str_of(ROWS[i].address)) != ROWS[i].admitted)
            fail_msg("%s: not %d", ROWS[i].address, ROWS[i].admitted);
    identity_free(who);
}

void test_token_reach__without_addresses_it_is_used_from_everywhere(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct identity *who = NULL;
    struct token row;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &secret), ERR_OK);
    assert_int_equal(row.address_count, 0);
    assert_int_equal(lookup(&fx, &secret, &who), ERR_OK);
    assert_true(identity_admits(who, S("203.0.113.9")) && identity_admits(who, S("")));
    identity_free(who);
}

void test_token_reach__bad_addresses_are_named(void **state)
{
    static struct str many[33];
    static const struct str PLAIN[] = {{"10.0.0.0/8", 10}, {"nowhere", 7}},
                            HOST_BITS[] = {{"10.0.0.1/8", 10}},
                            TWICE[] = {{"10.0.0.0/8", 10}, {"192.0.2.7", 9}, {"::ffff:10.0.0.0/104", 19}},
                            SPACE[] = {{"10.0.0.1 10.0.0.2", 17}}, EMPTY[] = {{"", 0}};
    static const struct {
        const struct str *addresses;
        size_t count;
        const char *pointer;
    } ROWS[] = {{PLAIN, 2, "/allowedAddresses/1"}, {HOST_BITS, 1, "/allowedAddresses/0"},
        {TWICE, 3, "/allowedAddresses/2"}, {SPACE, 1, "/allowedAddresses/0"},
        {EMPTY, 1, "/allowedAddresses/0"}, {many, 33, "/allowedAddresses"}};
    AUTO_CONTROL_FIXTURE fx;
    struct token row;

    (void)state;
    start(&fx);
    char *before = control_fixture_dump(&fx);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_SECRET secret = SECRET_INIT;
        struct err err = ERR_INIT;
        struct token_new in = plain(&fx);
        in.addresses = ROWS[i].addresses;
        in.address_count = ROWS[i].count;
        assert_int_equal(create_as(&fx, &TEST_ACTOR, &in, &row, &secret, &err), ERR_INVALID);
        assert_string_equal(err.pointer, ROWS[i].pointer);
    }
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

/* --- Rotation --- */

void test_token_reach__the_old_secret_is_good_during_the_overlap(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET first = SECRET_INIT, second = SECRET_INIT;
    struct token row, rotated;
    struct identity *who = NULL;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &first), ERR_OK);
    uint64_t generation = generation_get(fx.control.gen);
    assert_int_equal(rotate_as(&fx, &TEST_ACTOR, NULL, id_str(&row.id), 60, &rotated, &second, NULL), ERR_OK);
    assert_true(generation_get(fx.control.gen) > generation); /* caches hear of it */
    assert_string_equal(rotated.id.text, row.id.text);
    assert_string_not_equal(rotated.preview, row.preview);
    assert_int_equal(rotated.overlap_ends_at, START_MS + 60000);
    assert_true(opens(&fx, &second));
    assert_int_equal(lookup(&fx, &first, &who), ERR_OK);
    assert_string_equal(who->token_id.text, row.id.text);
    assert_int_equal(who->expires_at, START_MS + 60000); /* a cached bearer ends by itself */
    identity_free(who);
    wait_s(60);
    assert_false(opens(&fx, &first));
    assert_true(opens(&fx, &second));
    ASSERT_AUDIT(&fx, "namespace.created token.created token.rotated");
}

void test_token_reach__a_second_rotation_ends_the_oldest_secret(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET first = SECRET_INIT, second = SECRET_INIT, third = SECRET_INIT, fourth = SECRET_INIT;
    struct token row;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &first), ERR_OK);
    assert_int_equal(rotate(&fx, &row, 60, &second), ERR_OK);
    assert_int_equal(rotate(&fx, &row, 60, &third), ERR_OK);
    assert_false(opens(&fx, &first));
    assert_true(opens(&fx, &second) && opens(&fx, &third));
    assert_int_equal(rotate(&fx, &row, 0, &fourth), ERR_OK); /* no overlap: all others end */
    assert_false(opens(&fx, &second) || opens(&fx, &third));
    assert_true(opens(&fx, &fourth));
    assert_int_equal(revoke(&fx, &row), ERR_OK);
    assert_false(opens(&fx, &fourth));
}

void test_token_reach__revoking_ends_both_secrets(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET first = SECRET_INIT, second = SECRET_INIT;
    struct token row;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &first), ERR_OK);
    assert_int_equal(rotate(&fx, &row, 60, &second), ERR_OK);
    assert_int_equal(revoke(&fx, &row), ERR_OK);
    assert_false(opens(&fx, &first) || opens(&fx, &second));
}

void test_token_reach__an_overlap_is_no_longer_than_the_token(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET first = SECRET_INIT, second = SECRET_INIT;
    struct token row, rotated;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    in.expires_in_s = 10;
    assert_int_equal(create(&fx, &in, &row, &first), ERR_OK);
    assert_int_equal(rotate_as(&fx, &TEST_ACTOR, NULL, id_str(&row.id), 60, &rotated, &second, NULL), ERR_OK);
    assert_int_equal(rotated.expires_at, row.expires_at);
    assert_int_equal(rotated.overlap_ends_at, row.expires_at);
    wait_s(10);
    assert_false(opens(&fx, &first) || opens(&fx, &second));
}

void test_token_reach__what_is_ended_is_not_rotated(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT, none = SECRET_INIT;
    struct token revoked, expired, row;
    struct id other = id_new("ns");
    struct err err = ERR_INIT;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &revoked, &secret), ERR_OK);
    assert_int_equal(revoke(&fx, &revoked), ERR_OK);
    in.expires_in_s = 5;
    assert_int_equal(create(&fx, &in, &expired, &secret), ERR_OK);
    assert_int_equal(
        rotate_as(&fx, &TEST_ACTOR, &other, id_str(&expired.id), 1, &row, &none, &err), ERR_NOT_FOUND);
    wait_s(5);
    assert_int_equal(rotate(&fx, &revoked, 1, &none), ERR_CONFLICT);
    assert_int_equal(rotate(&fx, &expired, 1, &none), ERR_CONFLICT);
    assert_int_equal(rotate_as(&fx, &TEST_ACTOR, NULL, S("tok_none"), 1, &row, &none, &err), ERR_NOT_FOUND);
    assert_int_equal(rotate_as(&fx, &TEST_ACTOR, NULL, id_str(&expired.id), LIMIT_TOKEN_OVERLAP_MAX_S + 1,
                         &row, &none, &err),
        ERR_INVALID);
    assert_string_equal(err.pointer, "/overlap");
    assert_int_equal(none.len, 0);
    ASSERT_AUDIT(&fx, "namespace.created token.created token.revoked token.created");
}

static void rotate_under(enum fault_kind kind)
{
    AUTO_SECRET first = SECRET_INIT;
    struct token row;
    unsigned failed = 0;

    fault_start(kind);
    AUTO_CONTROL_FIXTURE fx;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &first), ERR_OK);
    while (fault_next()) {
        AUTO_SECRET secret = SECRET_INIT;
        fault_off();
        control_fixture_reopen(&fx);
        char *before = control_fixture_dump(&fx);
        fault_rearm();
        enum err_code code = rotate(&fx, &row, 60, &secret);
        fault_off();
        if (db_is_broken(fx.db))
            control_fixture_reopen(&fx);
        char *after = control_fixture_dump(&fx);
        assert_int_equal(code != ERR_OK, strcmp(before, after) == 0);
        failed += code != ERR_OK;
        mem_free(before);
        mem_free(after);
    }
    assert_in_range(fault_points(), 1, 2000);
    assert_in_range(failed, 1, fault_points());
}

void test_token_reach__rotate_is_all_or_nothing_without_memory(void **state)
{
    (void)state;
    rotate_under(FAULT_SQLITE_MEM);
}

void test_token_reach__rotate_is_all_or_nothing_on_a_full_disk(void **state)
{
    (void)state;
    rotate_under(FAULT_SQLITE_WRITE);
}

/* --- No further than itself --- */

static struct actor bearer_of(const struct token *t)
{
    return (struct actor){.kind = ACTOR_TOKEN, .token_id = t->id};
}

struct narrow {
    struct registry_entry main, other;
    struct token own;
    struct actor by;
};

static const struct str OWN_TABLES[] = {{"orders", 6}, {"lines", 5}};
static const struct str OWN_ADDRESSES[] = {{"10.0.0.0/8", 10}};

/* A token that is limited in every way. */
static void narrow_init(struct control_fixture *fx, struct narrow *n, struct secret *secret)
{
    start(fx);
    assert_int_equal(registry_create(fx->db, &fx->disk, &TEST_ACTOR, &fx->tenant.id, S("main"), S(""), S(""),
                         &n->main, NULL),
        ERR_OK);
    assert_int_equal(registry_create(fx->db, &fx->disk, &TEST_ACTOR, &fx->tenant.id, S("other"), S(""), S(""),
                         &n->other, NULL),
        ERR_OK);
    struct token_new in = plain(fx);
    in.role = WIRE_ROLE_READWRITE;
    in.database_id = n->main.id;
    in.has_table_scope = true;
    in.tables = OWN_TABLES;
    in.table_count = 2;
    in.expires_in_s = 100;
    in.addresses = OWN_ADDRESSES;
    in.address_count = 1;
    assert_int_equal(create(fx, &in, &n->own, secret), ERR_OK);
    n->by = bearer_of(&n->own);
}

static struct token_new within(const struct control_fixture *fx, const struct narrow *n)
{
    struct token_new in = plain(fx);

    in.role = WIRE_ROLE_READONLY;
    in.database_id = n->main.id;
    in.has_table_scope = true;
    in.tables = OWN_TABLES;
    in.table_count = 1;
    return in;
}

void test_token_reach__what_is_left_open_is_the_makers(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct narrow n;
    struct token row;

    (void)state;
    narrow_init(&fx, &n, &secret);
    wait_s(40);
    struct token_new in = within(&fx, &n);
    assert_int_equal(create_as(&fx, &n.by, &in, &row, &secret, NULL), ERR_OK);
    assert_int_equal(row.expires_at, n.own.expires_at);
    assert_int_equal(row.address_count, 1);
    assert_true(str_eq(row.addresses[0], S("10.0.0.0/8")));
    in.expires_in_s = 60;
    assert_int_equal(create_as(&fx, &n.by, &in, &row, &secret, NULL), ERR_OK);
    assert_int_equal(row.expires_at, n.own.expires_at);
}

void test_token_reach__a_token_makes_none_that_is_wider(void **state)
{
    static const struct str STRANGE[] = {{"ORDERS", 6}, {"secrets", 7}};
    static const struct str WIDER[] = {{"10.1.0.0/16", 11}, {"10.0.0.0/7", 10}}, EVERYWHERE[] = {{"::/0", 4}};
    static const char *const POINTERS[] = {"/role", "/database", "/database", "/tableScope", "/tableScope/1",
        "/expiresIn", "/allowedAddresses/1", "/allowedAddresses/0"};
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct narrow n;
    struct token row;

    (void)state;
    narrow_init(&fx, &n, &secret);
    char *before = control_fixture_dump(&fx);
    for (size_t i = 0; i < ARRAY_LEN(POINTERS); i++) {
        struct token_new in = within(&fx, &n);
        struct err err = ERR_INIT;
        switch (i) {
        case 0: in.role = WIRE_ROLE_ADMIN; break;
        case 1: in.database_id = (struct id){.text = ""}; break;
        case 2: in.database_id = n.other.id; break;
        case 3:
            in.has_table_scope = false;
            in.table_count = 0;
            break;
        case 4:
            in.tables = STRANGE;
            in.table_count = 2;
            break;
        case 5: in.expires_in_s = 101; break;
        case 6:
            in.addresses = WIDER;
            in.address_count = 2;
            break;
        case 7:
            in.addresses = EVERYWHERE;
            in.address_count = 1;
            break;
        }
        assert_int_equal(create_as(&fx, &n.by, &in, &row, &secret, &err), ERR_FORBIDDEN);
        assert_int_equal(err.code, ERR_FORBIDDEN);
        assert_string_equal(err.pointer, POINTERS[i]);
    }
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

void test_token_reach__a_token_that_ended_makes_nothing(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct narrow n;
    struct token row;

    (void)state;
    narrow_init(&fx, &n, &secret);
    struct token_new in = within(&fx, &n);
    struct actor nobody = {.kind = ACTOR_TOKEN, .token_id = id_new("tok")};
    assert_int_equal(create_as(&fx, &nobody, &in, &row, &secret, NULL), ERR_UNAUTHORIZED);
    in.namespace_id = id_new("ns");
    assert_int_equal(create_as(&fx, &n.by, &in, &row, &secret, NULL), ERR_FORBIDDEN);
    in = within(&fx, &n);
    wait_s(100);
    assert_int_equal(create_as(&fx, &n.by, &in, &row, &secret, NULL), ERR_UNAUTHORIZED);
    clock_test_set(1, START_MS);
    assert_int_equal(revoke(&fx, &n.own), ERR_OK);
    assert_int_equal(create_as(&fx, &n.by, &in, &row, &secret, NULL), ERR_UNAUTHORIZED);
}

void test_token_reach__a_token_rotates_itself_and_nothing_wider(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT, none = SECRET_INIT;
    struct narrow n;
    struct token wide, row;
    struct err err = ERR_INIT;

    (void)state;
    narrow_init(&fx, &n, &secret);
    struct token_new in = within(&fx, &n);
    assert_int_equal(create(&fx, &in, &wide, &secret), ERR_OK); /* has no expiry, goes everywhere */
    assert_int_equal(rotate_as(&fx, &n.by, NULL, id_str(&wide.id), 0, &row, &none, &err), ERR_FORBIDDEN);
    assert_int_equal(none.len, 0);
    assert_string_equal(err.pointer, "");
    assert_true(opens(&fx, &secret));
    in.expires_in_s = 100;
    in.addresses = OWN_ADDRESSES;
    in.address_count = 1;
    assert_int_equal(create(&fx, &in, &row, &secret), ERR_OK);
    assert_int_equal(rotate_as(&fx, &n.by, NULL, id_str(&row.id), 0, &row, &secret, &err), ERR_OK);
    assert_int_equal(rotate_as(&fx, &n.by, NULL, id_str(&n.own.id), 0, &row, &secret, &err), ERR_OK);
    assert_true(opens(&fx, &secret));
}

/* Of a person's consent; whatever it made would outlive that. */
void test_token_reach__what_a_program_holds_makes_nothing_and_is_not_rotated(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT, none = SECRET_INIT;
    const struct account_new who = {.email = S("lin@example.com"), .name = S(""), .hash = "x"};
    struct account person;
    struct token held, row;
    struct err err = ERR_INIT;

    (void)state;
    start(&fx);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(tx_end(fx.db, account_create(fx.db, &TEST_ACTOR, &who, &person, NULL), NULL), ERR_OK);
    struct token_new in = plain(&fx);
    in.account_id = person.id;
    assert_int_equal(create(&fx, &in, &held, &secret), ERR_OK);
    struct actor by = bearer_of(&held);
    in.account_id = (struct id){.text = ""};
    assert_int_equal(create_as(&fx, &by, &in, &row, &none, &err), ERR_FORBIDDEN);
    assert_int_equal(rotate_as(&fx, &TEST_ACTOR, NULL, id_str(&held.id), 0, &row, &none, &err), ERR_CONFLICT);
    assert_int_equal(none.len, 0);
}

/* --- The end --- */

void test_token_reach__what_ended_is_removed_after_a_while(void **state)
{
    bool left = false;
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    const struct str tables[] = {S("orders")};
    struct token revoked, expired, live, *rows = NULL;
    size_t count = 0;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &live, &secret), ERR_OK);
    in.has_table_scope = true;
    in.tables = tables;
    in.table_count = 1;
    assert_int_equal(create(&fx, &in, &revoked, &secret), ERR_OK);
    in.expires_in_s = 100;
    assert_int_equal(create(&fx, &in, &expired, &secret), ERR_OK);
    assert_int_equal(revoke(&fx, &revoked), ERR_OK);
    wait_s(LIMIT_TOKEN_KEPT_MS / 1000);
    assert_int_equal(token_purge(fx.db, &left, NULL), ERR_OK);
    assert_int_equal(token_page(fx.db, &arena, &fx.tenant.id, true, S(""), 100, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 3);
    wait_s(1);
    assert_int_equal(token_purge(fx.db, &left, NULL), ERR_OK);
    assert_int_equal(token_page(fx.db, &arena, &fx.tenant.id, true, S(""), 100, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 2); /* the one that expired later stays */
    wait_s(100);
    assert_int_equal(token_purge(fx.db, &left, NULL), ERR_OK);
    assert_int_equal(token_page(fx.db, &arena, &fx.tenant.id, true, S(""), 100, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].id.text, live.id.text);
}

/* --- Pages --- */

void test_token_reach__pages_hold_every_token_once(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct token made[7], *rows = NULL;
    struct id other = id_new("ns"), after = {.text = ""};
    size_t count = 0, seen = 0;

    (void)state;
    start(&fx);
    struct token_new in = plain(&fx);
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        assert_int_equal(create(&fx, &in, &made[i], &secret), ERR_OK);
        clock_test_advance(1000);
    }
    assert_int_equal(revoke(&fx, &made[3]), ERR_OK);
    do {
        assert_int_equal(
            token_page(fx.db, &arena, &fx.tenant.id, false, id_str(&after), 2, &rows, &count, NULL), ERR_OK);
        for (size_t i = 0; i < count; i++, seen++) {
            size_t expected = seen < 3 ? 6 - seen : 5 - seen; /* newest first, without number 3 */
            assert_string_equal(rows[i].id.text, made[expected].id.text);
            after = rows[i].id;
        }
    } while (count == 2);
    assert_int_equal(seen, 6);
    assert_int_equal(token_page(fx.db, &arena, &fx.tenant.id, true, S(""), 100, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 7);
    assert_true(rows[3].revoked_at > 0);
    assert_int_equal(token_page(fx.db, &arena, &other, true, S(""), 100, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 0);
}
