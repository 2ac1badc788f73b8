/* Whatever allocation, write or fsync fails while a machine signs up, a repository is bound or a branch is
 * handed on: the control database is as it was, its audit rows included, or all is done. What takes two
 * transactions and a directory is one or the other after recovery, and the machine that comes again gets what
 * it came for. */
#include "base/clock.h"
#include "branch/handoff.h"
#include "federation/assertion.h"
#include "lib/control_fault.h"
#include "lib/unit.h"
#include <string.h>
#include <unistd.h>

#define GITHUB   ISSUER_GITHUB_URL
#define START_MS 1000000
#define VISITORS 20

static struct control_fixture fx;
static struct arena arena;
static struct issuers *issuers;
static struct signup_rules rules;
static struct tenant elsewhere;
static struct repo_binding fresh, pinned, moved; /* bound to `elsewhere` the last */
static struct machine machine;
static struct assertion assertion;
static struct registry_entry branch;
static struct secret handoff;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static struct foreign_identity machine_of(const char *name, const char *id)
{
    return (struct foreign_identity){.kind = ISSUER_GITHUB,
        .issuer = S(GITHUB),
        .subject = S("sub"),
        .name = str_of(name),
        .id = str_of(id),
        .owner_id = S("9")};
}

static enum err_code bind_to(const struct id *ns, const char *name, bool move, struct repo_binding *ret)
{
    const struct repo_new in = {
        .namespace_id = *ns, .issuer = {ISSUER_GITHUB, S(GITHUB)}, .name = str_of(name), .move = move};
    return repo_bind(fx.db, &TEST_ACTOR, &arena, &in, ret, NULL);
}

static enum err_code bind_repo(void)
{
    struct repo_binding made;
    return bind_to(&fx.tenant.id, "octo/new", false, &made);
}

static enum err_code move_repo(void)
{
    struct repo_binding made;
    return bind_to(&fx.tenant.id, "octo/moved", true, &made);
}

static enum err_code unbind_repo(void)
{
    return repo_unbind(fx.db, &TEST_ACTOR, &arena, &fx.tenant.id, id_str(&pinned.id), NULL);
}

static enum err_code admit(void)
{
    struct foreign_identity who = machine_of("octo/fresh", "7");
    struct repo_binding found;
    return repo_admit(fx.db, &TEST_ACTOR, &arena, &who, &found, NULL);
}

static enum err_code sign_up_as(const char *name, const char *id, struct machine *ret)
{
    struct foreign_identity who = machine_of(name, id);
    bool made;
    return machine_sign_up(fx.db, &TEST_ACTOR, &arena, &rules, &who, ret, &made, NULL);
}

/* As POST /agent/identity does. */
static enum err_code sign_up(void)
{
    struct machine m;
    struct assertion made;
    enum err_code code = sign_up_as("octo/agent", "11", &m);
    return code ? code : assertion_create(fx.db, &TEST_ACTOR, &m, &made, NULL);
}

static enum err_code assert_again(void)
{
    struct assertion made;
    return assertion_create(fx.db, &TEST_ACTOR, &machine, &made, NULL);
}

static enum err_code exchange(void)
{
    struct machine m;
    struct machine_pass pass = {.made = false};
    struct str id = id_str(&assertion.id);
    enum err_code code = assertion_use(fx.db, &arena, id, id_str(&machine.id), &m, NULL);
    return code ? code : machine_pass(fx.db, &TEST_ACTOR, &arena, &m, id, &pass, NULL);
}

static enum err_code revoke_assertion(void)
{
    return assertion_revoke(fx.db, &TEST_ACTOR, &arena, id_str(&assertion.id), id_str(&machine.id), NULL);
}

static enum err_code make_handoff(struct secret *ret)
{
    const struct token_new wish = {.name = S("next"), .role = WIRE_ROLE_READWRITE};
    int64_t expires_at;
    return handoff_make(fx.db, &TEST_ACTOR, &arena, &branch, &wish, 600, ret, &expires_at, NULL);
}

static enum err_code hand_on(void)
{
    struct secret secret = SECRET_INIT;
    return make_handoff(&secret);
}

static enum err_code redeem_handoff(void)
{
    struct token made;
    struct secret secret = SECRET_INIT;
    struct registry_entry of;
    return handoff_redeem(fx.db, &TEST_ACTOR, &arena, secret_reveal(&handoff), &made, &secret, &of, NULL);
}

static const struct control_operation OPERATIONS[] = {
    {"bind a repository", bind_repo},
    {"move one from another namespace", move_repo},
    {"unbind one", unbind_repo},
    {"pin one", admit},
    {"sign up", sign_up},
    {"issue another assertion", assert_again},
    {"exchange an assertion", exchange},
    {"give an assertion back", revoke_assertion},
    {"hand a branch on", hand_on},
    {"redeem a handoff", redeem_handoff},
};

static void prepare_server(void)
{
    static const struct str LIST[] = {{"github", 6}}, RULE[] = {{"octo", 4}};
    clock_test_set(1, START_MS);
    arena_init(&arena, 100 << 20);
    must(issuers_new(LIST, 1, NULL, &issuers, NULL));
    must(signup_parse(RULE, 1, issuers, &rules, NULL));
    control_fixture_init(&fx);
}

static void release(void)
{
    issuers_free(issuers);
    arena_release(&arena);
    clock_test_stop();
}

/* One that has a token, so that there is something to end. */
static void prepare_pinned(void)
{
    struct foreign_identity who = machine_of("octo/pinned", "5");
    struct machine_pass pass = {.made = false};
    must(machine_connect(fx.db, &fx.disk, &TEST_ACTOR, &arena, &who, &pass, NULL));
}

static void prepare_branch(void)
{
    const struct registry_origin origin = {.parent_id = branch.id, .ref = S("x")};
    struct id copy = id_new("db");
    must(registry_create_copy_intent(
        fx.db, &TEST_ACTOR, &copy, &fx.tenant.id, S("main-x"), S("x"), S("auto"), &origin, &branch, NULL));
    must(make_handoff(&handoff));
}

static void prepare(void)
{
    prepare_server();
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), STR_EMPTY, S("auto"), &branch, NULL));
    must(tx_begin_write(fx.db, NULL));
    must(tenant_create(fx.db, &TEST_ACTOR, S("elsewhere"), STR_EMPTY, &elsewhere, NULL));
    must(bind_to(&fx.tenant.id, "octo/fresh", false, &fresh));
    must(bind_to(&fx.tenant.id, "octo/pinned", false, &pinned));
    must(bind_to(&elsewhere.id, "octo/moved", false, &moved));
    must(sign_up_as("octo/machine", "10", &machine));
    must(assertion_create(fx.db, &TEST_ACTOR, &machine, &assertion, NULL));
    must(exchange());
    prepare_branch();
    must(tx_commit(fx.db, NULL));
    prepare_pinned();
}

static const struct control_fault MACHINES = {&fx, prepare, release, OPERATIONS, ARRAY_LEN(OPERATIONS)};

void test_machine_fault__all_or_nothing_without_memory(void **state)
{
    (void)state;
    control_fault_run(&MACHINES, FAULT_SQLITE_MEM);
}

void test_machine_fault__all_or_nothing_on_a_full_disk(void **state)
{
    (void)state;
    control_fault_run(&MACHINES, FAULT_SQLITE_WRITE);
}

void test_machine_fault__all_or_nothing_when_fsync_fails(void **state)
{
    (void)state;
    control_fault_run(&MACHINES, FAULT_SQLITE_SYNC);
}

/* --- What opens its own transactions --- */

static enum err_code federate(const struct foreign_identity *who, struct machine_pass *ret)
{
    *ret = (struct machine_pass){.made = false};
    return machine_federate(fx.db, &fx.disk, &TEST_ACTOR, &arena, &rules, who, ret, NULL);
}

static enum err_code connect_repo(const struct foreign_identity *who, struct machine_pass *ret)
{
    *ret = (struct machine_pass){.made = false};
    return machine_connect(fx.db, &fx.disk, &TEST_ACTOR, &arena, who, ret, NULL);
}

/* Lost: of nobody, or of somebody without a database to use. */
#define SQL_TOKENS                                                                                           \
    "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM database d WHERE d.status ="          \
    " 'healthy' AND d.namespace_id = t.namespace_id AND (t.database_id IS NULL OR t.database_id = d.id))"    \
    " OR NOT EXISTS (SELECT 1 FROM machine_identity m WHERE m.id = t.machine_id AND m.namespace_id ="        \
    " t.namespace_id UNION ALL SELECT 1 FROM repo_binding r WHERE r.id = t.machine_id AND r.pinned_id IS"    \
    " NOT NULL)) FROM token t"

static int64_t tokens(int64_t *ret_lost)
{
    AUTO_STMT st = DB_STMT_INIT;
    must(db_query_one(fx.db, SQL_TOKENS, DB_NO_ARGS, &st, NULL));
    *ret_lost = db_col_int(&st, 1);
    return db_col_int(&st, 0);
}

struct visit {
    enum err_code (*run)(const struct foreign_identity *who, struct machine_pass *ret);
    bool bound; /* by somebody, before */
};

static const struct visit FEDERATE = {federate, false}, CONNECT = {connect_repo, true};

/* The transaction is over, the database perhaps not made: a restart makes it, or whoever comes again. */
static void expect_whole(const struct visit *visit, const struct foreign_identity *who, bool restart)
{
    struct machine_pass pass;
    struct registry_recovery r;
    int64_t lost;
    char dir[FS_PATH_MAX];
    if (restart)
        must(registry_recover(fx.db, &fx.disk, &r, NULL));
    must(visit->run(who, &pass));
    assert_false(pass.made);
    assert_int_equal(pass.database.status, REGISTRY_HEALTHY);
    registry_path(dir, fx.dir.path, id_str(&pass.database.id));
    assert_int_equal(access(dir, F_OK), 0);
    assert_true(tokens(&lost) > 1);
    assert_int_equal(lost, 0);
}

static void close_server(void)
{
    control_fixture_release(&fx);
    release();
}

/* The next one. A new server now and then: what is compared stays small, and so many may sign up. */
static struct foreign_identity await_visitor(const struct visit *visit, unsigned number)
{
    struct repo_binding made;
    if (number && number % VISITORS == 0)
        close_server();
    if (number % VISITORS == 0)
        prepare_server();
    const char *name = arena_printf(&arena, "octo/v%u", number).ptr;
    must(tx_begin_write(fx.db, NULL));
    if (visit->bound)
        must(bind_to(&fx.tenant.id, name, false, &made));
    must(tx_commit(fx.db, NULL));
    return machine_of(name, name);
}

/* One visit with one failure. true: the visitor is in, even if it was told otherwise. */
static bool gets_in(const struct visit *visit, const struct foreign_identity *who, bool *ret_told)
{
    struct machine_pass pass;
    int64_t lost, had = tokens(&lost);
    char *before = control_fixture_dump(&fx);
    control_fixture_reopen(&fx);
    fault_rearm();
    *ret_told = visit->run(who, &pass) == ERR_OK;
    fault_off();
    control_fixture_reopen(&fx);
    char *after = control_fixture_dump(&fx);
    bool in = tokens(&lost) > had;
    assert_int_equal(strcmp(before, after) == 0, !in);
    assert_true(in || !*ret_told);
    mem_free(before);
    mem_free(after);
    return in;
}

static void visit_under(enum fault_kind kind, const struct visit *visit)
{
    unsigned late = 0, number = 0;
    bool told;
    fault_start(kind);
    struct foreign_identity who = await_visitor(visit, number);
    while (fault_next()) {
        fault_off();
        if (!gets_in(visit, &who, &told))
            continue;
        expect_whole(visit, &who, number % 2);
        late += !told;
        who = await_visitor(visit, ++number);
    }
    assert_in_range(fault_points(), 1, 5000);
    assert_in_range(late, 1, fault_points());
    close_server();
}

void test_machine_fault__a_visit_is_finished_without_memory(void **state)
{
    (void)state;
    visit_under(FAULT_SQLITE_MEM, &FEDERATE);
    visit_under(FAULT_SQLITE_MEM, &CONNECT);
}

void test_machine_fault__a_visit_is_finished_on_a_full_disk(void **state)
{
    (void)state;
    visit_under(FAULT_SQLITE_WRITE, &FEDERATE);
    visit_under(FAULT_SQLITE_WRITE, &CONNECT);
}

void test_machine_fault__a_visit_is_finished_when_fsync_fails(void **state)
{
    (void)state;
    visit_under(FAULT_SQLITE_SYNC, &FEDERATE);
    visit_under(FAULT_SQLITE_SYNC, &CONNECT);
}
