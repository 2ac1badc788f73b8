/* API tokens from creation to revocation, and every write of theirs under faults. */
#include "token/token.h"
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

static struct token_new plain(const struct control_fixture *fx)
{
    return (struct token_new){.namespace_id = fx->tenant.id, .name = S("ci"), .role = WIRE_ROLE_READWRITE};
}

static enum err_code create(struct control_fixture *fx, const struct token_new *in, struct token *row,
    struct secret *secret, struct err *err)
{
    AUTO_ARENA arena;

    arena_init(&arena, 1 << 20);
    enum err_code code = tx_begin_write(fx->db, err);
    if (!code)
        code = tx_end(fx->db, token_create(fx->db, &TEST_ACTOR, &arena, in, row, secret, err), err);
    row->tables = NULL; /* memory of the arena */
    return code;
}

static enum err_code revoke(struct control_fixture *fx, const struct id *ns, struct str id, struct err *err)
{
    enum err_code code = tx_begin_write(fx->db, err);

    return code ? code : tx_end(fx->db, token_revoke(fx->db, &TEST_ACTOR, ns, id, err), err);
}

static enum err_code lookup(
    struct control_fixture *fx, struct str secret, struct identity **who, struct err *err)
{
    struct digest hash;
    enum err_code code = token_parse(secret, &hash, err);

    return code ? code : token_lookup(fx->db, &hash, who, err);
}

void test_apitoken__a_bearer_is_known_by_what_was_asked_for(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct registry_entry database;
    struct token row;
    struct identity *who = NULL;
    const struct str tables[] = {S("orders"), S("caf\xc3\xa9")};

    (void)state;
    control_fixture_init(&fx);
    assert_int_equal(registry_create(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), S(""), S(""),
                         &database, NULL),
        ERR_OK);
    clock_test_set(1, 1000000);
    struct token_new in = plain(&fx);
    in.database_id = database.id;
    in.has_table_scope = true;
    in.tables = tables;
    in.table_count = 2;
    in.expires_in_s = 60;
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    assert_int_equal(lookup(&fx, secret_reveal(&secret), &who, NULL), ERR_OK);
    assert_string_equal(who->token_id.text, row.id.text);
    assert_string_equal(who->namespace_id.text, fx.tenant.id.text);
    assert_string_equal(who->namespace_slug, "acme");
    assert_string_equal(who->database_id.text, database.id.text);
    assert_string_equal(row.database_slug, "main");
    assert_int_equal(who->role, WIRE_ROLE_READWRITE);
    assert_true(who->has_table_scope);
    assert_int_equal(who->table_count, 2);
    assert_true(str_eq(who->tables[0], tables[1]) && str_eq(who->tables[1], tables[0]));
    assert_int_equal(who->expires_at, 1060000);
    assert_false(identity_expired(who, 1059999));
    assert_true(identity_expired(who, 1060000));
    identity_free(who);
    clock_test_stop();
}

void test_apitoken__only_a_hash_and_a_mask_are_stored(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct token row;

    (void)state;
    control_fixture_init(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    char *dump = control_fixture_dump(&fx);
    assert_null(strstr(dump, secret_reveal(&secret).ptr));
    assert_null(strstr(dump, secret_reveal(&secret).ptr + 20)); /* nor its tail */
    assert_non_null(strstr(dump, row.preview));
    mem_free(dump);
}

void test_apitoken__refusals_say_why(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT, stranger = SECRET_INIT;
    struct token row;
    struct identity *who = NULL;
    struct err err = ERR_INIT;
    char damaged[128];

    (void)state;
    control_fixture_init(&fx);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    memcpy(damaged, secret.bytes, secret.len + 1);
    damaged[secret.len - 1] = damaged[secret.len - 1] == '0' ? '1' : '0';
    assert_int_equal(lookup(&fx, str_of(damaged), &who, &err), ERR_UNAUTHORIZED);
    assert_string_equal(err.message, "Invalid token format");
    assert_int_equal(lookup(&fx, S("eyJhbGciOiJIUzI1NiJ9.e30.x"), &who, &err), ERR_UNAUTHORIZED);
    assert_string_equal(err.message, "Invalid token format");
    token_generate(TOKEN_LIVE, &stranger);
    assert_int_equal(lookup(&fx, secret_reveal(&stranger), &who, &err), ERR_UNAUTHORIZED);
    assert_string_equal(err.message, "Invalid token");
    assert_int_equal(revoke(&fx, NULL, id_str(&row.id), &err), ERR_OK);
    assert_int_equal(lookup(&fx, secret_reveal(&secret), &who, &err), ERR_UNAUTHORIZED);
    assert_string_equal(err.message, "Token revoked");
    assert_null(who);
}

void test_apitoken__expiry_ends_it(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct token row;
    struct identity *who = NULL;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    clock_test_set(1, 1000000);
    struct token_new in = plain(&fx);
    in.expires_in_s = 10;
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    clock_test_advance(9999999);
    assert_int_equal(lookup(&fx, secret_reveal(&secret), &who, &err), ERR_OK);
    identity_free(who);
    who = NULL;
    clock_test_advance(1000);
    assert_int_equal(lookup(&fx, secret_reveal(&secret), &who, &err), ERR_UNAUTHORIZED);
    assert_string_equal(err.message, "Token expired");
    assert_null(who);
    clock_test_stop();
}

void test_apitoken__revocation_is_told_to_all_and_kept(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    AUTO_ARENA arena;
    struct token row, *rows = NULL;
    struct err err = ERR_INIT;
    struct id other = id_new("ns");
    size_t count = 0;

    (void)state;
    control_fixture_init(&fx);
    arena_init(&arena, 1 << 20);
    clock_test_set(1, 5000);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    uint64_t before = generation_get(fx.control.gen);
    assert_int_equal(
        revoke(&fx, &other, id_str(&row.id), &err), ERR_NOT_FOUND); /* another namespace's token */
    assert_int_equal(revoke(&fx, NULL, S("tok_none"), &err), ERR_NOT_FOUND);
    assert_int_equal(generation_get(fx.control.gen), before);
    assert_int_equal(revoke(&fx, &fx.tenant.id, id_str(&row.id), &err), ERR_OK);
    assert_true(generation_get(fx.control.gen) > before);
    clock_test_advance(1000000);
    assert_int_equal(revoke(&fx, NULL, id_str(&row.id), &err), ERR_OK);
    assert_int_equal(token_list(fx.db, &arena, S("acme"), false, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(token_list(fx.db, &arena, S(""), true, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].revoked_at, 5000);
    clock_test_stop();
}

/* Neither the token nor its hash: the row names it by its id. */
void test_apitoken__changes_are_in_the_audit_log(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STMT st = DB_STMT_INIT;
    AUTO_SECRET secret = SECRET_INIT;
    const struct str tables[] = {S("orders")};
    struct token row;

    (void)state;
    control_fixture_init(&fx);
    struct token_new in = plain(&fx);
    in.has_table_scope = true;
    in.tables = tables;
    in.table_count = 1;
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    assert_int_equal(revoke(&fx, NULL, S("tok_none"), NULL), ERR_NOT_FOUND);
    assert_int_equal(revoke(&fx, NULL, id_str(&row.id), NULL), ERR_OK);
    assert_int_equal(revoke(&fx, NULL, id_str(&row.id), NULL), ERR_OK);
    ASSERT_AUDIT(&fx, "namespace.created token.created token.revoked");
    assert_int_equal(
        db_query_one(fx.db, "SELECT target_id, after_values FROM audit WHERE seq = 2", DB_NO_ARGS, &st, NULL),
        ERR_OK);
    assert_true(str_eq(db_col_text(&st, 0), id_str(&row.id)));
    assert_true(
        str_eq(db_col_text(&st, 1), S("{\"name\":\"ci\",\"role\":\"readwrite\",\"database\":null,"
                                      "\"branch\":null,\"branchesOnly\":false,\"tableScope\":[\"orders\"],"
                                      "\"expiresAt\":null,\"allowedAddresses\":null,\"claims\":null}")));
}

void test_apitoken__lists_newest_first_with_everything(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_ARENA arena;
    struct token row, *rows = NULL;
    size_t count = 0;
    const struct str tables[] = {S("a"), S("b")};

    (void)state;
    control_fixture_init(&fx);
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < 5; i++) {
        AUTO_SECRET secret = SECRET_INIT;
        struct token_new in = plain(&fx);
        clock_test_set(1, 1000 + i);
        in.name = i == 3 ? S("") : S("named");
        in.has_table_scope = i == 4;
        in.tables = tables;
        in.table_count = i == 4 ? 2 : 0;
        assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    }
    clock_test_stop();
    assert_int_equal(token_list(fx.db, &arena, S("acme"), false, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 5);
    assert_true(rows[0].has_table_scope);
    assert_int_equal(rows[0].table_count, 2);
    assert_true(str_eq(rows[0].tables[1], S("b")));
    assert_string_equal(rows[1].name, rows[1].id.text); /* nameless: its id */
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].created_at, 1004 - (int64_t)i);
        assert_string_equal(rows[i].namespace_slug, "acme");
    }
    assert_int_equal(token_list(fx.db, &arena, S("other"), false, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 0);
}

void test_apitoken__bad_wishes_name_the_field(void **state)
{
    static char long_name[100];
    static const struct str DOUBLED[] = {{"a", 1}, {"A", 1}}, EMPTY[] = {{"a", 1}, {"", 0}},
                            CONTROL[] = {{"a\n", 2}};
    const struct {
        struct str name;
        const struct str *tables;
        size_t table_count;
        int64_t expires_in_s;
        const char *database, *pointer;
    } ROWS[] = {
        {str_make(long_name, 81), NULL, 0, 0, "", "/name"},
        {S("a\xff"), NULL, 0, 0, "", "/name"},
        {S("a\033[31m"), NULL, 0, 0, "", "/name"},
        {S("n"), DOUBLED, 2, 0, "", "/tableScope/1"},
        {S("n"), EMPTY, 2, 0, "", "/tableScope/1"},
        {S("n"), CONTROL, 1, 0, "", "/tableScope/0"},
        {S("n"), DOUBLED, 257, 0, "", "/tableScope"},
        {S("n"), NULL, 0, -1, "", "/expiresIn"},
        {S("n"), NULL, 0, 315360001, "", "/expiresIn"},
        {S("n"), NULL, 0, 0, "db_none", "/database"},
    };
    AUTO_CONTROL_FIXTURE fx;

    (void)state;
    control_fixture_init(&fx);
    memset(long_name, 'x', sizeof long_name);
    char *before = control_fixture_dump(&fx);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_SECRET secret = SECRET_INIT;
        struct err err = ERR_INIT;
        struct token row;
        struct token_new in = plain(&fx);
        in.name = ROWS[i].name;
        in.has_table_scope = ROWS[i].tables != NULL;
        in.tables = ROWS[i].tables;
        in.table_count = ROWS[i].table_count;
        in.expires_in_s = ROWS[i].expires_in_s;
        memcpy(in.database_id.text, ROWS[i].database, strlen(ROWS[i].database) + 1);
        assert_int_equal(create(&fx, &in, &row, &secret, &err), ERR_INVALID);
        assert_string_equal(err.pointer, ROWS[i].pointer);
        assert_int_equal(secret.len, 0);
    }
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

void test_apitoken__a_last_use_never_goes_back(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    AUTO_ARENA arena;
    struct token row, *rows = NULL;
    size_t count = 0;

    (void)state;
    control_fixture_init(&fx);
    arena_init(&arena, 1 << 20);
    struct token_new in = plain(&fx);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    uint64_t generation = generation_get(fx.control.gen);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(token_touch(fx.db, id_str(&row.id), 700, NULL), ERR_OK);
    assert_int_equal(token_touch(fx.db, id_str(&row.id), 600, NULL), ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(generation_get(fx.control.gen), generation); /* no reason to empty caches */
    assert_int_equal(token_list(fx.db, &arena, S(""), false, &rows, &count, NULL), ERR_OK);
    assert_int_equal(rows[0].last_used_at, 700);
}

void test_apitoken__roles_have_two_spellings(void **state)
{
    static const struct {
        const char *text, *name;
    } ROWS[] = {{"admin", "admin"}, {"readwrite", "readwrite"}, {"write", "readwrite"},
        {"readonly", "readonly"}, {"read", "readonly"}, {"Admin", NULL}, {"", NULL}, {"owner", NULL}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        enum wire_role role;
        bool known = token_role_parse(str_of(ROWS[i].text), &role);
        assert_int_equal(known, ROWS[i].name != NULL);
        if (known)
            assert_string_equal(token_role_name(role), ROWS[i].name);
    }
}

/* Either the call succeeded and its effect is there, or it failed and the tables are as before. */
static void expect_all_or_nothing(struct control_fixture *fx, enum err_code code, const char *before)
{
    fault_off();
    if (db_is_broken(fx->db))
        control_fixture_reopen(fx);
    char *after = control_fixture_dump(fx);
    if (code)
        assert_string_equal(after, before);
    else
        assert_string_not_equal(after, before);
    mem_free(after);
}

static void create_under(enum fault_kind kind)
{
    const struct str tables[] = {S("a"), S("b")};
    struct token row;
    unsigned failed = 0;

    fault_start(kind);
    AUTO_CONTROL_FIXTURE fx;
    control_fixture_init(&fx);
    struct token_new in = plain(&fx);
    in.has_table_scope = true;
    in.tables = tables;
    in.table_count = 2;
    while (fault_next()) {
        AUTO_SECRET secret = SECRET_INIT;
        fault_off();
        control_fixture_reopen(&fx); /* no cached statements: preparing may fail too */
        char *before = control_fixture_dump(&fx);
        fault_rearm();
        enum err_code code = create(&fx, &in, &row, &secret, NULL);
        failed += code != ERR_OK;
        expect_all_or_nothing(&fx, code, before);
        mem_free(before);
    }
    assert_in_range(fault_points(), 1, 2000);
    assert_in_range(failed, 1, fault_points());
}

void test_apitoken__create_is_all_or_nothing_without_memory(void **state)
{
    (void)state;
    create_under(FAULT_SQLITE_MEM);
}

void test_apitoken__create_is_all_or_nothing_on_a_full_disk(void **state)
{
    (void)state;
    create_under(FAULT_SQLITE_WRITE);
}

void test_apitoken__create_is_all_or_nothing_when_fsync_fails(void **state)
{
    (void)state;
    create_under(FAULT_SQLITE_SYNC);
}

void test_apitoken__lookup_without_memory_fails_or_is_whole(void **state)
{
    AUTO_SECRET secret = SECRET_INIT;
    struct token row;
    const struct str tables[] = {S("a"), S("b")};

    (void)state;
    fault_start(FAULT_SQLITE_MEM);
    AUTO_CONTROL_FIXTURE fx;
    control_fixture_init(&fx);
    struct token_new in = plain(&fx);
    in.has_table_scope = true;
    in.tables = tables;
    in.table_count = 2;
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    while (fault_next()) {
        struct identity *who = NULL;
        fault_off();
        control_fixture_reopen(&fx);
        fault_rearm();
        enum err_code code = lookup(&fx, secret_reveal(&secret), &who, NULL);
        fault_off();
        assert_true(code == ERR_OK || code == ERR_UNAVAILABLE);
        assert_int_equal(code == ERR_OK, who != NULL);
        if (who)
            assert_true(str_eq(who->tables[1], S("b")));
        identity_free(who);
    }
    assert_in_range(fault_points(), 1, 2000);
}

#define SQL_FILL                                                                                             \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"                           \
    " INSERT INTO token(id, namespace_id, hash, preview, name, role, has_table_scope, created_at)"           \
    " SELECT 'tok_' || i, ?1, 'hash' || i, '', '', 'readonly', 0, 1 FROM n"

static void change_one(struct control_fixture *fx, bool expire)
{
    assert_int_equal(tx_begin_write(fx->db, NULL), ERR_OK);
    enum err_code code =
        expire ? db_exec(fx->db, "UPDATE token SET expires_at = 1 WHERE id = 'tok_7'", DB_NO_ARGS, NULL)
               : db_exec(fx->db, SQL_FILL,
                     DB_ARGS(db_text(id_str(&fx->tenant.id)), db_int(LIMIT_TOKENS_PER_NAMESPACE - 1)), NULL);
    assert_int_equal(tx_end(fx->db, code, NULL), ERR_OK);
}

/* Nobody counts at each creation; what ended is found when the limit is reached. */
void test_apitoken__a_full_namespace_takes_a_token_when_another_ended(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_SECRET secret = SECRET_INIT;
    struct token row;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    struct token_new in = plain(&fx);
    change_one(&fx, false);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    assert_int_equal(create(&fx, &in, &row, &secret, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "100000 tokens"));
    change_one(&fx, true);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_CONFLICT);
    assert_int_equal(revoke(&fx, NULL, S("tok_8"), NULL), ERR_OK);
    assert_int_equal(create(&fx, &in, &row, &secret, NULL), ERR_OK);
}
