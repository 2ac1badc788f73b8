/* Machines that sign themselves up: whom a rule lets in, that each finds its own namespace again and nobody
 * else's, and how many there may be. */
#include "base/clock.h"
#include "base/limits.h"
#include "federation/signup.h"
#include "lib/control_fixture.h"
#include "lib/unit.h"

#define START_MS 1000000
#define GITLAB   "https://git.example.com"
#define OTHER    "https://ci.example.com"

static struct arena arena;
static struct issuers *issuers;

int setup_signup(void **state)
{
    static const struct str LIST[] = {
        {"github", 6}, {"gitlab=" GITLAB, sizeof "gitlab=" GITLAB - 1}, {OTHER, sizeof OTHER - 1}};
    (void)state;
    arena_init(&arena, 10 << 20);
    return issuers_new(LIST, ARRAY_LEN(LIST), NULL, &issuers, NULL) ? -1 : 0;
}

int teardown_signup(void **state)
{
    (void)state;
    issuers_free(issuers);
    arena_release(&arena);
    clock_test_stop();
    return 0;
}

static struct foreign_identity machine(enum issuer_kind kind, const char *name, const char *id)
{
    const char *url = kind == ISSUER_GITHUB ? ISSUER_GITHUB_URL : kind == ISSUER_GITLAB ? GITLAB : OTHER;
    return (struct foreign_identity){.kind = kind,
        .issuer = str_of(url),
        .subject = S("sub"),
        .name = str_of(name),
        .id = str_of(id),
        .owner_id = S("")};
}

static struct signup_rules rules_of(const char *text)
{
    struct signup_rules rules;
    struct str one = str_of(text);
    assert_int_equal(signup_parse(&one, 1, issuers, &rules, NULL), ERR_OK);
    return rules;
}

void test_signup__a_rule_lets_in_whom_it_names(void **state)
{
    static const struct {
        const char *rule;
        enum issuer_kind kind;
        const char *name;
        bool good;
    } ROWS[] = {{"octo", ISSUER_GITHUB, "octo/widgets", true}, {"Octo", ISSUER_GITHUB, "octO/widgets", true},
        {"octo", ISSUER_GITHUB, "octopus/widgets", false}, {"octo", ISSUER_GITHUB, "evil/octo", false},
        {"octo", ISSUER_GITLAB, "octo/widgets", false}, {"octo", ISSUER_OTHER, "octo", false},
        {"octo/widgets", ISSUER_GITHUB, "octo/widgets", true},
        {"octo/widgets", ISSUER_GITHUB, "octo/x", false}, {"*", ISSUER_GITHUB, "any/body", true},
        {"*", ISSUER_GITLAB, "any/body", false}, {"github=*", ISSUER_GITHUB, "any/body", true},
        {"off", ISSUER_GITHUB, "octo/widgets", false},
        {"gitlab=" GITLAB "=team", ISSUER_GITLAB, "team/sub/app", true},
        {"gitlab=team", ISSUER_GITLAB, "team/app", true},
        {"gitlab=team/sub", ISSUER_GITLAB, "team/sub/app", false},
        {OTHER "=robot", ISSUER_OTHER, "robot", true}, {OTHER "=robot", ISSUER_OTHER, "Robot", false},
        {OTHER "=robot", ISSUER_OTHER, "robot/x", false}, {OTHER "=*", ISSUER_OTHER, "a b", false},
        {"*", ISSUER_GITHUB, "", false}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct signup_rules rules = rules_of(ROWS[i].rule);
        struct foreign_identity who = machine(ROWS[i].kind, ROWS[i].name, "1");
        expect_row(signup_allows(&arena, &rules, &who) == ROWS[i].good, ROWS[i].rule);
    }
    struct foreign_identity who = machine(ISSUER_GITHUB, "octo/widgets", "1");
    assert_false(signup_allows(&arena, NULL, &who));
}

void test_signup__rules_that_are_none(void **state)
{
    static const char *const BAD[] = {"", "=", "github=", "a b", "oc*", "**", "x=y=z",
        "https://unlisted.example.com=a", "google=a@b.c", "=octo"};
    struct signup_rules rules;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct str one = str_of(BAD[i]);
        expect_row(signup_parse(&one, 1, issuers, &rules, NULL) == ERR_INVALID, BAD[i]);
    }
    const struct str off[] = {S("octo"), S("off")}; /* an owner of that name */
    assert_int_equal(signup_parse(off, 2, issuers, &rules, NULL), ERR_OK);
    assert_int_equal(rules.count, 2);
}

/* --- Namespaces --- */

static enum err_code federate(struct control_fixture *fx, const struct signup_rules *rules,
    const struct foreign_identity *who, struct machine_pass *ret, struct err *err)
{
    struct actor by = machine_actor(&arena, &TEST_ACTOR, who);
    *ret = (struct machine_pass){.secret = SECRET_INIT};
    return machine_federate(fx->db, &fx->disk, &by, &arena, rules, who, ret, err);
}

void test_signup__finds_its_own_again_by_its_id(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass first, again, other, elsewhere;
    struct signup_rules rules = rules_of("octo"), nobody = rules_of("off"), team = rules_of(OTHER "=*");
    struct foreign_identity who = machine(ISSUER_GITHUB, "octo/widgets", "7"),
                            renamed = machine(ISSUER_GITHUB, "octo/gadgets", "7"),
                            anew = machine(ISSUER_GITHUB, "octo/widgets", "8"),
                            robot = machine(ISSUER_OTHER, "r", "7");
    (void)state;
    clock_test_set(1, START_MS);
    control_fixture_init(&fx);
    assert_int_equal(federate(&fx, &rules, &who, &first, NULL), ERR_OK);
    assert_true(first.made);
    assert_string_equal(first.database.namespace_slug, "octo-widgets");
    assert_string_equal(first.database.slug, "main");
    assert_int_equal(first.database.status, REGISTRY_HEALTHY);
    assert_string_equal(first.token.database_id.text, "");
    assert_int_equal(first.token.expires_at, START_MS + LIMIT_MACHINE_TOKEN_MS);
    assert_int_equal(federate(&fx, &nobody, &renamed, &again, NULL), ERR_OK); /* a rule is for new ones */
    assert_false(again.made);
    assert_string_equal(again.database.id.text, first.database.id.text);
    assert_int_equal(federate(&fx, &rules, &anew, &other, NULL), ERR_OK);
    assert_string_not_equal(other.database.namespace_id.text, first.database.namespace_id.text);
    assert_int_equal(
        federate(&fx, &team, &robot, &elsewhere, NULL), ERR_OK); /* the same id of another issuer */
    assert_string_not_equal(elsewhere.database.namespace_id.text, first.database.namespace_id.text);
}

void test_signup__a_database_that_others_made_is_not_its_main(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass first, again, third;
    struct registry_entry gone, squat;
    struct signup_rules rules = rules_of("octo");
    struct foreign_identity who = machine(ISSUER_GITHUB, "octo/widgets", "7");
    (void)state;
    clock_test_set(1, START_MS);
    control_fixture_init(&fx);
    assert_int_equal(federate(&fx, &rules, &who, &first, NULL), ERR_OK);
    struct id home = first.database.namespace_id;
    assert_int_equal(registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &home, S("main"), &gone, NULL), ERR_OK);
    assert_int_equal(
        registry_create(fx.db, &fx.disk, &TEST_ACTOR, &home, S("main"), STR_EMPTY, S("auto"), &squat, NULL),
        ERR_OK);
    assert_int_equal(federate(&fx, &rules, &who, &again, NULL), ERR_OK);
    assert_string_not_equal(again.database.id.text, squat.id.text);
    assert_true(str_starts(str_of(again.database.slug), S("main-")));
    assert_int_equal(federate(&fx, &rules, &who, &third, NULL), ERR_OK);
    assert_string_equal(third.database.id.text, again.database.id.text);
}

void test_signup__who_is_not_allowed_leaves_nothing(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass;
    struct err err = ERR_INIT;
    struct signup_rules nobody = rules_of("off");
    struct foreign_identity who = machine(ISSUER_GITLAB, "octo/widgets", "7");
    (void)state;
    clock_test_set(1, START_MS);
    control_fixture_init(&fx);
    char *before = control_fixture_dump(&fx);
    assert_int_equal(federate(&fx, &nobody, &who, &pass, &err), ERR_FORBIDDEN);
    assert_non_null(strstr(err.message, "serve --self-signup gitlab=" GITLAB "=octo/widgets"));
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
}

void test_signup__as_many_as_an_hour_allows(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct machine_pass pass;
    struct err err = ERR_INIT;
    struct signup_rules rules = rules_of("*"), team = rules_of("gitlab=*");
    struct foreign_identity who;
    char id[16];
    (void)state;
    clock_test_set(1, START_MS);
    control_fixture_init(&fx);
    for (int i = 0; i < LIMIT_SELF_SIGNUPS_PER_HOUR; i++) {
        str_print(id, sizeof id, "%d", i);
        who = machine(ISSUER_GITHUB, "octo/widgets", id);
        assert_int_equal(federate(&fx, &rules, &who, &pass, NULL), ERR_OK);
    }
    struct foreign_identity late = machine(ISSUER_GITHUB, "octo/widgets", "late"),
                            other = machine(ISSUER_GITLAB, "octo/widgets", "1");
    assert_int_equal(federate(&fx, &rules, &late, &pass, &err), ERR_RATE_LIMITED);
    assert_true(err.retry_after_s > 0);
    assert_int_equal(federate(&fx, &rules, &who, &pass, NULL), ERR_OK); /* who is there already */
    assert_false(pass.made);
    assert_int_equal(federate(&fx, &team, &other, &pass, NULL), ERR_OK); /* another issuer's hour */
    clock_test_set(1, START_MS + 3600001);
    assert_int_equal(federate(&fx, &rules, &late, &pass, NULL), ERR_OK);
}
