/* Repositories and their pipelines: bound once, pinned at the first visit, refused when it is another one of
 * the same name; one database each; what unbinding ends. */
#include "base/clock.h"
#include "base/limits.h"
#include "federation/machine.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"

#define START_MS 1000000
#define GITHUB   ISSUER_GITHUB_URL
#define GITLAB   ISSUER_GITLAB_URL
#define OTHER    "https://ci.example.com"

static struct arena arena;

int setup_repo(void **state)
{
    (void)state;
    arena_init(&arena, 10 << 20);
    return 0;
}

int teardown_repo(void **state)
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

static enum issuer_kind kind_of(const char *issuer)
{
    if (strcmp(issuer, GITHUB) == 0)
        return ISSUER_GITHUB;
    return strcmp(issuer, GITLAB) == 0 ? ISSUER_GITLAB : ISSUER_OTHER;
}

static enum err_code bind_to(struct control_fixture *fx, const struct id *ns, const char *issuer,
    const char *name, bool move, struct repo_binding *ret, struct err *err)
{
    struct repo_new in = {
        .namespace_id = *ns, .issuer = {kind_of(issuer), str_of(issuer)}, .name = str_of(name), .move = move};
    enum err_code code = tx_begin_write(fx->db, NULL);
    return code ? code : tx_end(fx->db, repo_bind(fx->db, &TEST_ACTOR, &arena, &in, ret, err), NULL);
}

static struct repo_binding bind_repo(struct control_fixture *fx, const char *issuer, const char *name)
{
    struct repo_binding r;
    assert_int_equal(bind_to(fx, &fx->tenant.id, issuer, name, false, &r, NULL), ERR_OK);
    return r;
}

static struct foreign_identity pipeline(const char *issuer, const char *name, const char *id)
{
    return (struct foreign_identity){.kind = kind_of(issuer),
        .issuer = str_of(issuer),
        .subject = S("sub"),
        .name = str_of(name),
        .id = str_of(id),
        .owner_id = S("9")};
}

static enum err_code connect_as(struct control_fixture *fx, const char *issuer, const char *name,
    const char *id, struct machine_pass *ret, struct err *err)
{
    struct foreign_identity who = pipeline(issuer, name, id);
    struct actor by = machine_actor(&arena, &TEST_ACTOR, &who);
    *ret = (struct machine_pass){.secret = SECRET_INIT};
    return machine_connect(fx->db, &fx->disk, &by, &arena, &who, ret, err);
}

static enum err_code look_up(struct control_fixture *fx, const struct machine_pass *pass)
{
    struct identity *who = NULL;
    struct digest hash = token_hash(secret_reveal(&pass->secret));
    enum err_code code = token_lookup(fx->db, &hash, &who, NULL);
    if (!code)
        identity_free(who);
    return code;
}

static enum err_code unbind(struct control_fixture *fx, const struct id *id, const struct id *ns)
{
    enum err_code code = tx_begin_write(fx->db, NULL);
    return code ? code : tx_end(fx->db, repo_unbind(fx->db, &TEST_ACTOR, &arena, ns, id_str(id), NULL), NULL);
}

static struct tenant other_tenant(struct control_fixture *fx)
{
    struct tenant t;
    assert_int_equal(tx_begin_write(fx->db, NULL), ERR_OK);
    assert_int_equal(
        tx_end(fx->db, tenant_create(fx->db, &TEST_ACTOR, S("globex"), STR_EMPTY, &t, NULL), NULL), ERR_OK);
    return t;
}

/* --- Names --- */

void test_repo__names_that_an_issuer_could_give(void **state)
{
    static const struct {
        const char *issuer, *name;
        bool good;
    } ROWS[] = {
        {GITHUB, "acme/widgets", true},
        {GITHUB, "Acme/.github", true},
        {GITHUB, "a/b_c.d-e", true},
        {GITHUB, "acme", false},
        {GITHUB, "", false},
        {GITHUB, "/", false},
        {GITHUB, "acme/", false},
        {GITHUB, "/widgets", false},
        {GITHUB, "a/b/c", false},
        {GITHUB, "acme//widgets", false},
        {GITHUB, "acme/wid gets", false},
        {GITHUB, "acme/w\xc3\xa9", false},
        {GITHUB, "acme/*", false},
        {GITLAB, "group/sub/app", true},
        {GITLAB, "app", false},
        {GITLAB, "group/sub//app", false},
        {OTHER, "spiffe://x/y", true},
        {OTHER, "robot", true},
        {OTHER, "a b", false},
        {OTHER, "a\tb", false},
        {OTHER, "\xff", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(
            (repo_check(kind_of(ROWS[i].issuer), str_of(ROWS[i].name), NULL) == ERR_OK) == ROWS[i].good,
            ROWS[i].name);
}

void test_repo__slugs_are_plain_or_carry_a_digest(void **state)
{
    static const struct {
        const char *issuer, *name, *slug; /* slug NULL: with a digest */
    } ROWS[] = {{GITHUB, "acme/widgets", "gh-acme-widgets"}, {GITHUB, "Acme/Widgets", "gh-acme-widgets"},
        {GITHUB, "acme/my-widgets", "gh-acme-my-widgets"}, {GITLAB, "acme/widgets", "gl-acme-widgets"},
        {GITHUB, "a-b/c", NULL}, {GITHUB, "a/b.c", NULL}, {GITHUB, "a/b_c", NULL}, {GITHUB, "a/b-", NULL},
        {GITHUB, "acme/x-0123456789ab", NULL}, {GITHUB, "acme/0123456789ab", NULL},
        {GITHUB, "acme/x-0123456789az", "gh-acme-x-0123456789az"}, {GITLAB, "a/b/c", NULL},
        {OTHER, "acme/widgets", NULL}, {OTHER, "***", NULL},
        {GITHUB, "acme/a23456789012345678901234567890123456789012345678901234567890", NULL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct foreign_identity who = pipeline(ROWS[i].issuer, ROWS[i].name, "1");
        struct str slug = machine_slug(&arena, &who);
        expect_row(slug_valid(slug), ROWS[i].name);
        if (ROWS[i].slug)
            expect_str(slug, ROWS[i].slug);
        else
            expect_row(slug.len > 13 && slug.ptr[slug.len - 13] == '-', ROWS[i].name);
        for (size_t k = 0; k < i; k++) { /* no two share one, but for the case of letters */
            struct foreign_identity other = pipeline(ROWS[k].issuer, ROWS[k].name, "1");
            expect_row(!str_eq(slug, machine_slug(&arena, &other)) || i == 1, ROWS[i].name);
        }
    }
}

/* --- Bindings --- */

void test_repo__is_bound_once(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct repo_binding r, *rows;
    struct err err = ERR_INIT;
    size_t count;
    (void)state;
    start(&fx);
    struct repo_binding first = bind_repo(&fx, GITHUB, "Acme/Widgets");
    expect_str(first.name, "Acme/Widgets");
    assert_string_equal(first.namespace_slug, "acme");
    assert_int_equal(first.pinned_at, 0);
    assert_int_equal(bind_to(&fx, &fx.tenant.id, GITHUB, "acme/widgets", false, &r, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, first.id.text));
    clock_test_set(1, START_MS + 1);        /* ids sort by their time */
    bind_repo(&fx, GITLAB, "acme/widgets"); /* somebody else's */
    assert_int_equal(repo_list(fx.db, &arena, &fx.tenant.id, STR_EMPTY, 10, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(
        repo_list(fx.db, &arena, &fx.tenant.id, id_str(&rows[0].id), 10, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 1);
    expect_str(rows[0].issuer, GITLAB);
    ASSERT_AUDIT(&fx, "namespace.created repo.bound repo.bound");
}

void test_repo__is_another_namespaces_until_it_is_moved(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct repo_binding r;
    struct err err = ERR_INIT;
    struct machine_pass pass, there;
    (void)state;
    start(&fx);
    struct tenant globex = other_tenant(&fx);
    struct repo_binding first = bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_int_equal(bind_to(&fx, &globex.id, GITHUB, "acme/widgets", false, &r, &err), ERR_CONFLICT);
    assert_null(strstr(err.message, first.id.text)); /* whose it is is not told */
    assert_null(strstr(err.message, "\"acme\""));
    assert_int_equal(bind_to(&fx, &globex.id, GITHUB, "acme/widgets", true, &r, NULL), ERR_OK);
    assert_int_equal(look_up(&fx, &pass), ERR_UNAUTHORIZED);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &there, NULL), ERR_OK);
    assert_string_equal(there.database.namespace_slug, "globex");
    ASSERT_AUDIT(&fx, "namespace.created repo.bound repo.pinned database.created token.created repo.unbound");
}

void test_repo__of_a_deleted_namespace_is_refused_and_free(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct repo_binding r;
    struct machine_pass pass;
    struct err err = ERR_INIT;
    (void)state;
    start(&fx);
    struct tenant globex = other_tenant(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(tx_end(fx.db, tenant_delete(fx.db, &TEST_ACTOR, &fx.tenant, NULL), NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, &err), ERR_FORBIDDEN);
    assert_non_null(strstr(err.message, "was deleted"));
    assert_int_equal(bind_to(&fx, &globex.id, GITHUB, "acme/widgets", false, &r, NULL), ERR_OK);
}

/* --- Connecting --- */

void test_repo__a_stranger_is_told_what_would_pass(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass;
    struct err err = ERR_INIT;
    (void)state;
    start(&fx);
    char *before = control_fixture_dump(&fx);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, &err), ERR_FORBIDDEN);
    assert_non_null(
        strstr(err.message, "holdfast repo bind --namespace NS --repo acme/widgets --issuer github --data"));
    assert_int_equal(connect_as(&fx, OTHER, "robot", "7", &pass, &err), ERR_FORBIDDEN);
    assert_non_null(strstr(err.message, "--issuer " OTHER));
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

void test_repo__gets_one_database_and_a_token_for_it(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass first, again;
    (void)state;
    start(&fx);
    struct repo_binding r = bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "Acme/widgets", "7", &first, NULL), ERR_OK);
    assert_true(first.made);
    assert_string_equal(first.database.slug, "gh-acme-widgets");
    assert_int_equal(first.database.status, REGISTRY_HEALTHY);
    assert_int_equal(first.token.role, WIRE_ROLE_ADMIN);
    assert_string_equal(first.token.database_id.text, first.database.id.text);
    assert_int_equal(first.token.expires_at, START_MS + LIMIT_MACHINE_TOKEN_MS);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &again, NULL), ERR_OK);
    assert_false(again.made);
    assert_string_equal(again.database.id.text, first.database.id.text);
    assert_int_equal(look_up(&fx, &first), ERR_OK);
    clock_test_set(1, START_MS + LIMIT_MACHINE_TOKEN_MS);
    assert_int_equal(look_up(&fx, &again), ERR_UNAUTHORIZED);
    assert_int_equal(unbind(&fx, &r.id, NULL), ERR_OK);
    ASSERT_AUDIT(&fx, "namespace.created repo.bound repo.pinned database.created token.created token.created "
                      "repo.unbound");
}

void test_repo__another_one_of_its_name_is_refused_until_it_is_bound_anew(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass, other;
    struct err err = ERR_INIT;
    (void)state;
    start(&fx);
    struct repo_binding r = bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "8", &other, &err), ERR_FORBIDDEN);
    assert_non_null(strstr(err.message, "another one of its name (id 8)"));
    assert_non_null(strstr(err.message, "holdfast repo unbind"));
    assert_int_equal(look_up(&fx, &pass), ERR_OK);
    assert_int_equal(unbind(&fx, &r.id, &fx.tenant.id), ERR_OK);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "8", &other, NULL), ERR_OK);
    assert_string_not_equal(other.database.id.text, pass.database.id.text);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &other, NULL), ERR_FORBIDDEN);
}

void test_repo__that_is_bound_again_finds_its_database(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass, again;
    (void)state;
    start(&fx);
    struct repo_binding r = bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_int_equal(unbind(&fx, &r.id, &fx.tenant.id), ERR_OK);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &again, NULL), ERR_OK);
    assert_false(again.made);
    assert_string_equal(again.database.id.text, pass.database.id.text);
}

/* A slug is anybody's: whoever may make branches and databases chooses it. */
void test_repo__never_takes_what_was_made_by_others(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass, again;
    struct registry_entry squat, gone;
    (void)state;
    start(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(registry_create(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("gh-acme-widgets"),
                         S("acme/widgets"), S("auto"), &squat, NULL),
        ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_true(pass.made);
    assert_string_not_equal(pass.database.id.text, squat.id.text);
    assert_true(str_starts(str_of(pass.database.slug), S("gh-acme-widgets-")));
    assert_int_equal(pass.database.status, REGISTRY_HEALTHY);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("gh-acme-widgets"), &gone, NULL),
        ERR_OK); /* that the slug is free again changes nothing */
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &again, NULL), ERR_OK);
    assert_false(again.made);
    assert_string_equal(again.database.id.text, pass.database.id.text);
}

static struct str bound_name(struct control_fixture *fx)
{
    struct repo_binding *rows;
    size_t count;
    assert_int_equal(repo_list(fx->db, &arena, &fx->tenant.id, STR_EMPTY, 10, &rows, &count, NULL), ERR_OK);
    return rows[0].name;
}

void test_repo__keeps_its_binding_when_it_is_renamed(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass, renamed, other;
    struct err err = ERR_INIT;
    (void)state;
    start(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "Acme/Gadgets", "7", &renamed, NULL), ERR_OK);
    assert_string_equal(renamed.database.id.text, pass.database.id.text);
    expect_str(bound_name(&fx), "Acme/Gadgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "8", &other, &err), ERR_FORBIDDEN);
    assert_non_null(strstr(err.message, "bound to no namespace")); /* the name is free */
}

void test_repo__renamed_to_a_bound_name_keeps_its_own(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass, renamed, other;
    struct repo_binding waiting;
    (void)state;
    start(&fx);
    struct tenant globex = other_tenant(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(bind_to(&fx, &globex.id, GITHUB, "acme/gadgets", false, &waiting, NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/gadgets", "7", &renamed, NULL), ERR_OK);
    assert_string_equal(renamed.database.id.text, pass.database.id.text);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/gadgets", "8", &other, NULL), ERR_OK);
    assert_string_equal(other.database.namespace_slug, "globex");
}

void test_repo__given_to_another_owner_is_refused(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass;
    struct foreign_identity who = pipeline(GITHUB, "evil/widgets", "7");
    struct err err = ERR_INIT;
    (void)state;
    start(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    who.owner_id = S("10");
    pass = (struct machine_pass){.secret = SECRET_INIT};
    assert_int_equal(machine_connect(fx.db, &fx.disk, &TEST_ACTOR, &arena, &who, &pass, &err), ERR_FORBIDDEN);
    assert_non_null(strstr(err.message, "belongs to another owner"));
    who.owner_id = S("9"); /* the owner has another name now */
    assert_int_equal(machine_connect(fx.db, &fx.disk, &TEST_ACTOR, &arena, &who, &pass, NULL), ERR_OK);
}

void test_repo__unbinding_ends_its_tokens_and_no_others(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass one, two;
    (void)state;
    start(&fx);
    struct tenant globex = other_tenant(&fx);
    struct repo_binding a = bind_repo(&fx, GITHUB, "acme/one");
    bind_repo(&fx, GITHUB, "acme/two");
    assert_int_equal(connect_as(&fx, GITHUB, "acme/one", "1", &one, NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/two", "2", &two, NULL), ERR_OK);
    assert_int_equal(unbind(&fx, &a.id, &globex.id), ERR_NOT_FOUND);
    assert_int_equal(look_up(&fx, &one), ERR_OK);
    assert_int_equal(unbind(&fx, &a.id, &fx.tenant.id), ERR_OK);
    assert_int_equal(look_up(&fx, &one), ERR_UNAUTHORIZED);
    assert_int_equal(look_up(&fx, &two), ERR_OK);
    assert_int_equal(unbind(&fx, &a.id, &fx.tenant.id), ERR_NOT_FOUND);
}

void test_repo__tokens_within_an_hour_are_counted(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass;
    struct err err = ERR_INIT;
    (void)state;
    start(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    for (int i = 0; i < LIMIT_MACHINE_TOKENS_PER_HOUR; i++)
        assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, &err), ERR_RATE_LIMITED);
    assert_true(err.retry_after_s > 0);
    clock_test_set(1, START_MS + 3600001);
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
}

void test_repo__an_intent_that_somebody_left_is_finished(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass;
    struct registry_entry left, copy;
    struct registry_disk disk;
    (void)state;
    start(&fx);
    bind_repo(&fx, GITHUB, "acme/widgets");
    disk = fx.disk;
    fx.disk.data_dir = "/dev/null";
    assert_int_not_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    fx.disk = disk;
    assert_int_equal(registry_get(fx.db, &fx.tenant.id, S("gh-acme-widgets"), &left, NULL), ERR_OK);
    assert_int_equal(left.status, REGISTRY_PROVISIONING);
    copy = left;
    assert_int_equal(connect_as(&fx, GITHUB, "acme/widgets", "7", &pass, NULL), ERR_OK);
    assert_string_equal(pass.database.id.text, left.id.text);
    assert_int_equal(pass.database.status, REGISTRY_HEALTHY);
    assert_int_equal(registry_create_settle(fx.db, &fx.disk, &copy, NULL), ERR_OK); /* the second one */
    assert_int_equal(copy.status, REGISTRY_HEALTHY);
}
