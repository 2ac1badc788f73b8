/* Approvals as domain rules: who may decide, how many it takes, what ends them; each change with its row of
 * the audit log, or not at all. */
#include "approval/approval.h"
#include "audit/intent.h"
#include "base/clock.h"
#include "base/limits.h"
#include "lib/control_fault.h"
#include "lib/unit.h"
#include "tenant/share.h"
#include "token/token.h"

#define T0     1800000000000
#define HASH   "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER  "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FIRST  "appr_0123456789abcdef0123456789"
#define SECOND "appr_0123456789abcdef012345678a"

static struct control_fixture fx;
static struct arena arena;
static struct registry_entry base;
static struct account requester, first, second, viewer;
static struct token token;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static struct account join(const char *email, enum member_role role)
{
    struct account a;
    must(account_create(
        fx.db, &TEST_ACTOR, &(struct account_new){str_of(email), STR_EMPTY, "hash"}, &a, NULL));
    if (role)
        must(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &a.id, role, NULL));
    return a;
}

static struct actor user(const struct account *a)
{
    return (struct actor){.kind = ACTOR_USER, .user_id = a->id};
}

static struct token mint(const struct actor *by)
{
    AUTO_SECRET secret = SECRET_INIT;
    struct token made;
    struct token_new in = {.namespace_id = fx.tenant.id, .name = S("agent"), .role = WIRE_ROLE_ADMIN};
    must(token_create(fx.db, by, &arena, &in, &made, &secret, NULL));
    return made;
}

static void prepare(void)
{
    control_fixture_init(&fx);
    arena_init(&arena, 16 << 20);
    must(registry_create(
        fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), STR_EMPTY, S("auto"), &base, NULL));
    must(tx_begin_write(fx.db, NULL));
    requester = join("asks@example.com", MEMBER_ADMIN);
    first = join("first@example.com", MEMBER_ADMIN);
    second = join("second@example.com", MEMBER_OWNER);
    viewer = join("viewer@example.com", MEMBER_VIEWER);
    struct actor by = user(&requester);
    token = mint(&by);
    must(tx_commit(fx.db, NULL));
}

static void release(void)
{
    arena_release(&arena);
}

static void begin(void **state)
{
    (void)state;
    clock_test_set(1000000, T0);
    prepare();
}

static void end(void)
{
    release();
    control_fixture_release(&fx);
    clock_test_stop();
}

static struct approval_new held(const char *id, int64_t needed)
{
    return (struct approval_new){.id = str_of(id),
        .proposal_id = S("prop_00000000000000000000000000"),
        .action = S("write"),
        .hash = S(HASH),
        .sql = S("UPDATE t SET a = 1"),
        .hits = S("[]"),
        .rules_version = {NULL, 0},
        .reason = {NULL, 0},
        .ticket = {NULL, 0},
        .agent = {NULL, 0},
        .model = {NULL, 0},
        .statements = {NULL, 0},
        .affected = 3,
        .needed = needed,
        .approver_role = {NULL, 0},
        .expires_at = clock_wall_ms() + 86400000,
        .database_id = base.id,
        .namespace_id = fx.tenant.id,
        .token_id = token.id};
}

static enum err_code ask(const struct approval_new *in)
{
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = in->token_id};
    must(tx_begin_write(fx.db, NULL));
    return tx_end(fx.db, approval_open(fx.db, &by, in, NULL), NULL);
}

static struct approval get(const char *id)
{
    struct approval p;
    must(approval_get(fx.db, &arena, str_of(id), &p, NULL));
    return p;
}

static struct person person_of(const struct account *a)
{
    return (struct person){.session_id = id_new("ses"), .account = *a, .confirmed_at = clock_wall_ms()};
}

static enum err_code vote(
    const char *id, const struct account *a, bool approves, const char *hash, struct err *err)
{
    struct approval p;
    struct actor by = user(a);
    struct person person = person_of(a);
    struct approval_vote v = {.person = &person,
        .approves = approves,
        .note = {NULL, 0},
        .hash = hash ? str_of(hash) : (struct str){NULL, 0}};
    must(tx_begin_write(fx.db, NULL));
    enum err_code code = approval_get(fx.db, &arena, str_of(id), &p, err);
    return tx_end(fx.db, code ? code : approval_decide(fx.db, &by, &p, &v, err), err);
}

static enum approval_status status(const char *id)
{
    return get(id).status;
}

#define ASK(id, needed)                                                                                      \
    do {                                                                                                     \
        struct approval_new in_ = held(id, needed);                                                          \
        must(ask(&in_));                                                                                     \
    } while (0)

/* --- --- */

void test_approval__asking_again_changes_nothing(void **state)
{
    begin(state);
    ASK(FIRST, 1);
    char *before = control_fixture_dump(&fx);
    ASK(FIRST, 1);
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
    struct approval p = get(FIRST);
    assert_string_equal(p.person_id.text, requester.id.text);
    assert_int_equal(p.status, APPROVAL_PENDING);
    assert_int_equal(p.approver_role, MEMBER_ADMIN);
    end();
}

void test_approval__an_engine_that_lies_is_not_believed(void **state)
{
    begin(state);
    ASK(FIRST, 1);
    struct approval_new in = held(FIRST, 1);
    in.hash = S(OTHER); /* another write under an approval that people look at */
    assert_int_equal(ask(&in), ERR_INTERNAL);
    const char *const ids[] = {
        "", "appr_", "prop_0123456789abcdef0123456789", "appr_0123456789abcdef/123456789"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        in = held(ids[i], 1);
        assert_int_equal(ask(&in), ERR_INTERNAL);
    }
    in = held(SECOND, 0);
    assert_int_equal(ask(&in), ERR_INTERNAL);
    in = held(SECOND, 1);
    in.hash = S("sha256:00");
    assert_int_equal(ask(&in), ERR_INTERNAL);
    in = held(SECOND, 1);
    in.approver_role = S("king");
    assert_int_equal(ask(&in), ERR_INTERNAL);
    assert_int_equal(
        approval_get(fx.db, &arena, S(SECOND), &(struct approval){.seq = 0}, NULL), ERR_NOT_FOUND);
    end();
}

void test_approval__it_takes_as_many_people_as_it_says(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 2);
    must(vote(FIRST, &first, true, HASH, &err));
    assert_int_equal(status(FIRST), APPROVAL_PENDING);
    assert_int_equal(vote(FIRST, &first, true, HASH, &err), ERR_CONFLICT); /* one person, one vote */
    assert_int_equal(get(FIRST).given, 1);
    assert_int_equal(vote(FIRST, &first, false, HASH, &err), ERR_CONFLICT); /* nor another one */
    must(vote(FIRST, &second, true, NULL, &err));
    assert_int_equal(status(FIRST), APPROVAL_APPROVED);
    assert_int_equal(get(FIRST).given, 2);
    ASSERT_AUDIT(&fx, "namespace.created database.created namespace.member_added namespace.member_added "
                      "namespace.member_added namespace.member_added token.created approval.requested "
                      "approval.approved approval.approved");
    end();
}

void test_approval__one_denial_denies(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 2);
    must(vote(FIRST, &first, true, HASH, &err));
    must(vote(FIRST, &second, false, HASH, &err));
    assert_int_equal(status(FIRST), APPROVAL_DENIED);
    struct approval p = get(FIRST);
    must(tx_begin_write(fx.db, NULL));
    assert_int_equal(approval_begin_redeem(fx.db, &p, &err), ERR_CONFLICT);
    tx_rollback(fx.db);
    end();
}

void test_approval__another_hash_was_shown(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    assert_int_equal(vote(FIRST, &first, true, OTHER, &err), ERR_CONFLICT);
    assert_int_equal(status(FIRST), APPROVAL_PENDING);
    assert_int_equal(get(FIRST).given, 0);
    end();
}

/* --- Who --- */

void test_approval__who_stands_behind_the_bearer_is_the_requester(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    assert_int_equal(vote(FIRST, &requester, true, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(vote(FIRST, &requester, false, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(status(FIRST), APPROVAL_PENDING);
    end();
}

void test_approval__a_token_made_by_a_token_has_the_same_person_behind_it(void **state)
{
    struct err err = ERR_INIT;
    struct actor by = {.kind = ACTOR_TOKEN};
    begin(state);
    by.token_id = token.id;
    must(tx_begin_write(fx.db, NULL));
    token = mint(&by);
    must(tx_commit(fx.db, NULL));
    ASK(FIRST, 1);
    assert_int_equal(vote(FIRST, &requester, true, HASH, &err), ERR_FORBIDDEN);
    end();
}

void test_approval__who_rotated_a_token_has_its_secret(void **state)
{
    AUTO_SECRET secret = SECRET_INIT;
    struct err err = ERR_INIT;
    struct token rotated;
    begin(state);
    struct actor by = user(&first);
    must(tx_begin_write(fx.db, NULL));
    must(token_rotate(fx.db, &by, &arena, NULL, id_str(&token.id), 60, &rotated, &secret, NULL));
    must(tx_commit(fx.db, NULL));
    ASK(FIRST, 1);
    assert_int_equal(vote(FIRST, &first, true, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(vote(FIRST, &requester, true, HASH, &err), ERR_FORBIDDEN);
    must(vote(FIRST, &second, true, HASH, &err));
    end();
}

void test_approval__a_secret_of_before_a_rotation_has_its_person_behind_it(void **state)
{
    AUTO_SECRET secret = SECRET_INIT;
    AUTO_SECRET other = SECRET_INIT;
    struct err err = ERR_INIT;
    struct token rotated;
    begin(state);
    struct actor by = user(&first), next = user(&second);
    must(tx_begin_write(fx.db, NULL));
    must(token_rotate(fx.db, &by, &arena, NULL, id_str(&token.id), 60, &rotated, &secret, NULL));
    must(token_rotate(fx.db, &next, &arena, NULL, id_str(&token.id), 60, &rotated, &other, NULL));
    struct account third = join("third@example.com", MEMBER_ADMIN);
    struct actor agent = {.kind = ACTOR_TOKEN, .token_id = token.id};
    struct token child = mint(&agent);
    must(tx_commit(fx.db, NULL));
    ASK(FIRST, 1);
    token = child; /* theirs as well */
    ASK(SECOND, 1);
    const char *const ids[] = {FIRST, SECOND};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        assert_int_equal(vote(ids[i], &requester, true, HASH, &err), ERR_FORBIDDEN);
        assert_int_equal(vote(ids[i], &first, true, HASH, &err), ERR_FORBIDDEN);
        assert_int_equal(vote(ids[i], &second, true, HASH, &err), ERR_FORBIDDEN);
        must(vote(ids[i], &third, true, HASH, &err));
    }
    end();
}

static void demote_the_others(void)
{
    must(tx_begin_write(fx.db, NULL));
    must(member_change(fx.db, &TEST_ACTOR, &fx.tenant, &second.id, id_str(&first.id), MEMBER_VIEWER, NULL));
    must(member_change(fx.db, &TEST_ACTOR, &fx.tenant, &second.id, id_str(&second.id), MEMBER_VIEWER, NULL));
    must(tx_commit(fx.db, NULL));
}

void test_approval__lowering_the_others_afterwards_makes_nobody_alone(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    demote_the_others();
    assert_int_equal(vote(FIRST, &requester, true, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(status(FIRST), APPROVAL_PENDING);
    ASK(SECOND, 1); /* asked when nobody else could */
    must(vote(SECOND, &requester, true, HASH, &err));
    end();
}

static enum err_code share_as_viewer(const struct account *by, const struct account *with)
{
    must(tx_begin_write(fx.db, NULL));
    return tx_end(fx.db,
        share_set(fx.db, &TEST_ACTOR, &fx.tenant, &by->id, &base.id, id_str(&with->id), MEMBER_VIEWER, NULL),
        NULL);
}

void test_approval__lowering_the_others_by_a_share_makes_nobody_alone(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    assert_int_equal(share_as_viewer(&requester, &second), ERR_FORBIDDEN); /* an owner */
    must(share_as_viewer(&requester, &first));
    must(share_as_viewer(&second, &second));
    ASK(FIRST, 1); /* they can take the shares off again */
    assert_int_equal(vote(FIRST, &requester, true, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(vote(FIRST, &first, true, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(status(FIRST), APPROVAL_PENDING);
    end();
}

void test_approval__who_is_not_alone_any_more_waits(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    demote_the_others();
    ASK(FIRST, 1);
    must(tx_begin_write(fx.db, NULL));
    struct account third = join("third@example.com", MEMBER_ADMIN);
    must(tx_commit(fx.db, NULL));
    assert_int_equal(vote(FIRST, &requester, true, HASH, &err), ERR_FORBIDDEN);
    must(vote(FIRST, &third, true, HASH, &err));
    end();
}

void test_approval__who_is_alone_may_decide(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &TEST_ACTOR, &first.id, true, NULL));
    must(member_change(fx.db, &TEST_ACTOR, &fx.tenant, &second.id, id_str(&second.id), MEMBER_EDITOR, &err));
    must(tx_commit(fx.db, NULL));
    ASK(FIRST, 1);
    must(vote(FIRST, &requester, true, HASH, &err));
    assert_int_equal(status(FIRST), APPROVAL_APPROVED);
    end();
}

void test_approval__the_role_counts_at_the_moment_of_the_decision(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    assert_int_equal(vote(FIRST, &viewer, true, HASH, &err), ERR_FORBIDDEN);
    must(tx_begin_write(fx.db, NULL));
    must(member_change(fx.db, &TEST_ACTOR, &fx.tenant, &second.id, id_str(&first.id), MEMBER_EDITOR, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(vote(FIRST, &first, true, HASH, &err), ERR_FORBIDDEN);
    must(tx_begin_write(fx.db, NULL)); /* a share takes the place of the role */
    must(share_set(
        fx.db, &TEST_ACTOR, &fx.tenant, &second.id, &base.id, id_str(&second.id), MEMBER_VIEWER, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(vote(FIRST, &second, true, HASH, &err), ERR_FORBIDDEN);
    assert_int_equal(get(FIRST).given, 0);
    end();
}

void test_approval__to_strangers_it_does_not_exist(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    must(tx_begin_write(fx.db, NULL));
    struct account stranger = join("else@example.com", MEMBER_NONE);
    must(tx_commit(fx.db, NULL));
    assert_int_equal(vote(FIRST, &stranger, true, HASH, &err), ERR_NOT_FOUND);
    end();
}

/* --- Its end --- */

void test_approval__ends_with_its_time(void **state)
{
    struct err err = ERR_INIT;
    bool more = false;
    begin(state);
    ASK(FIRST, 1);
    clock_test_advance(INT64_C(86400000) * 1000);
    assert_int_equal(status(FIRST), APPROVAL_EXPIRED);
    assert_int_equal(vote(FIRST, &first, true, HASH, &err), ERR_CONFLICT);
    must(approval_expire(fx.db, clock_wall_ms(), &more, NULL));
    must(approval_expire(fx.db, clock_wall_ms(), &more, NULL));
    assert_false(more);
    char *actions = control_fixture_audit(&fx);
    assert_true(str_ends(str_of(actions), S("approval.requested approval.expired")));
    mem_free(actions);
    end();
}

static enum err_code in_tx(enum err_code (*fn)(struct approval *p), const char *id)
{
    struct approval p = get(id);
    must(tx_begin_write(fx.db, NULL));
    return tx_end(fx.db, fn(&p), NULL);
}

static enum err_code begin_redeem(struct approval *p)
{
    return approval_begin_redeem(fx.db, p, NULL);
}

static enum err_code redeemed(struct approval *p)
{
    return approval_redeemed(fx.db, &TEST_ACTOR, p, clock_wall_ms(), NULL);
}

static enum err_code voided(struct approval *p)
{
    return approval_end(fx.db, &TEST_ACTOR, p, APPROVAL_VOID, S(SECOND), NULL);
}

void test_approval__is_redeemed_once(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    assert_int_equal(in_tx(begin_redeem, FIRST), ERR_CONFLICT); /* nobody has approved it */
    must(vote(FIRST, &first, true, HASH, &err));
    must(in_tx(begin_redeem, FIRST));
    assert_int_equal(get(FIRST).redeem_began_at, T0);
    must(in_tx(begin_redeem, FIRST)); /* it may have been a crash */
    clock_test_advance(INT64_C(86400000) * 1000);
    assert_int_equal(status(FIRST), APPROVAL_APPROVED); /* only its database knows */
    must(in_tx(redeemed, FIRST));
    char *before = control_fixture_dump(&fx);
    must(in_tx(redeemed, FIRST));
    must(in_tx(voided, FIRST)); /* too late */
    char *after = control_fixture_dump(&fx);
    assert_string_equal(before, after);
    mem_free(before);
    mem_free(after);
    assert_int_equal(in_tx(begin_redeem, FIRST), ERR_NOT_FOUND);
    end();
}

void test_approval__drift_voids_it(void **state)
{
    struct err err = ERR_INIT;
    begin(state);
    ASK(FIRST, 1);
    must(vote(FIRST, &first, true, HASH, &err));
    must(in_tx(begin_redeem, FIRST));
    must(in_tx(voided, FIRST));
    struct approval p = get(FIRST);
    assert_int_equal(p.status, APPROVAL_VOID);
    assert_true(str_eq(p.replaced_by, S(SECOND)));
    assert_int_equal(vote(FIRST, &second, true, HASH, &err), ERR_CONFLICT);
    end();
}

void test_approval__withdrawing_a_proposal_withdraws_its_approval(void **state)
{
    begin(state);
    ASK(FIRST, 1);
    must(tx_begin_write(fx.db, NULL));
    must(approval_proposal_withdrawn(
        fx.db, &TEST_ACTOR, &base.id, S("prop_00000000000000000000000001"), NULL)); /* never held */
    must(approval_proposal_withdrawn(
        fx.db, &TEST_ACTOR, &base.id, S("prop_00000000000000000000000000"), NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(status(FIRST), APPROVAL_WITHDRAWN);
    end();
}

static enum err_code still_waits(struct approval *p)
{
    return approval_still_waits(fx.db, p, NULL);
}

/* The server dies while its database withdraws it. */
void test_approval__what_may_have_been_withdrawn_is_asked_about(void **state)
{
    struct id intent;
    struct approval p;
    begin(state);
    ASK(FIRST, 1);
    must(approval_doubt_left(fx.db, NULL));
    assert_int_equal(get(FIRST).redeem_began_at, 0);
    must(tx_begin_write(fx.db, NULL));
    must(audit_intend(fx.db,
        &(struct audit_event){.by = &TEST_ACTOR,
            .action = AUDIT_PROPOSAL_WITHDRAWN,
            .namespace_id = &fx.tenant.id,
            .target_id = id_str(&base.id),
            .target_name = S("main")},
        &intent, NULL));
    must(tx_commit(fx.db, NULL));
    must(approval_doubt_left(fx.db, NULL));
    clock_test_advance(INT64_C(86400000) * 1000);
    assert_int_equal(status(FIRST), APPROVAL_PENDING); /* only its database knows */
    must(approval_next_unknown(fx.db, &arena, clock_wall_ms(), 0, &p, NULL));
    assert_string_equal(p.id, FIRST);
    must(in_tx(still_waits, FIRST));
    assert_int_equal(approval_next_unknown(fx.db, &arena, clock_wall_ms(), 0, &p, NULL), ERR_NOT_FOUND);
    assert_int_equal(status(FIRST), APPROVAL_EXPIRED);
    end();
}

/* --- Confirming --- */

static struct account who;

static enum err_code confirm(struct approval *p)
{
    struct actor by = user(&who);
    struct person person = person_of(&who);
    return approval_confirm(fx.db, &by, p, &person, NULL);
}

static void redeem_with_confirmation(void)
{
    struct person person = person_of(&first);
    struct actor by = user(&first);
    struct approval_vote v = {
        .person = &person, .approves = true, .note = {NULL, 0}, .hash = {NULL, 0}, .confirm_within_s = 60};
    ASK(FIRST, 1);
    struct approval p = get(FIRST);
    must(tx_begin_write(fx.db, NULL));
    must(approval_decide(fx.db, &by, &p, &v, NULL));
    must(tx_commit(fx.db, NULL));
    must(in_tx(begin_redeem, FIRST));
    must(in_tx(redeemed, FIRST));
}

void test_approval__what_is_to_be_confirmed_waits_for_it(void **state)
{
    struct approval p;
    begin(state);
    redeem_with_confirmation();
    assert_int_equal(get(FIRST).confirm_by, T0 + 60000);
    assert_int_equal(approval_next_unconfirmed(fx.db, &arena, clock_wall_ms(), 0, &p, NULL), ERR_NOT_FOUND);
    who = viewer;
    assert_int_equal(in_tx(confirm, FIRST), ERR_FORBIDDEN);
    who = second;
    must(in_tx(confirm, FIRST));
    assert_int_equal(in_tx(confirm, FIRST), ERR_CONFLICT);
    clock_test_advance(60000000);
    assert_int_equal(approval_next_unconfirmed(fx.db, &arena, clock_wall_ms(), 0, &p, NULL), ERR_NOT_FOUND);
    end();
}

static enum err_code undone(struct approval *p)
{
    return approval_undone(fx.db, &TEST_ACTOR, p, STR_EMPTY, NULL);
}

void test_approval__what_nobody_confirms_is_taken_back(void **state)
{
    struct approval p;
    begin(state);
    redeem_with_confirmation();
    clock_test_advance(60000000);
    who = second;
    assert_int_equal(in_tx(confirm, FIRST), ERR_CONFLICT);
    must(approval_next_unconfirmed(fx.db, &arena, clock_wall_ms(), 0, &p, NULL));
    assert_string_equal(p.id, FIRST);
    must(in_tx(undone, FIRST));
    assert_true(str_eq(get(FIRST).confirm_state, S("undone")));
    assert_int_equal(approval_next_unconfirmed(fx.db, &arena, clock_wall_ms(), 0, &p, NULL), ERR_NOT_FOUND);
    end();
}

/* --- Lists --- */

void test_approval__lists_count_and_filter_by_the_time(void **state)
{
    int64_t counts[APPROVAL_COUNTS];
    struct approval *rows;
    size_t count;
    struct approval_filter f = {.namespace_id = &fx.tenant.id, .before = INT64_MAX, .limit = 10};
    begin(state);
    f.namespace_id = &fx.tenant.id;
    ASK(FIRST, 1);
    clock_test_advance(INT64_C(86400000) * 1000);
    ASK(SECOND, 1);
    must(approval_counts(fx.db, &fx.tenant.id, counts, NULL));
    assert_int_equal(counts[APPROVAL_PENDING], 1);
    assert_int_equal(counts[APPROVAL_EXPIRED], 1);
    must(approval_list(fx.db, &arena, &f, &rows, &count, NULL));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].id, SECOND);
    f.has_status = true;
    f.status = APPROVAL_EXPIRED;
    must(approval_list(fx.db, &arena, &f, &rows, &count, NULL));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].id, FIRST);
    f.status = APPROVAL_PENDING;
    f.database_id = &base.id;
    f.token_id = &first.id; /* nobody's token */
    must(approval_list(fx.db, &arena, &f, &rows, &count, NULL));
    assert_int_equal(count, 0);
    f.token_id = &token.id;
    must(approval_list(fx.db, &arena, &f, &rows, &count, NULL));
    assert_int_equal(count, 1);
    end();
}

/* --- Faults --- */

static enum err_code op_open(void)
{
    struct approval_new in = held(SECOND, 1);
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = token.id};
    return approval_open(fx.db, &by, &in, NULL);
}

static enum err_code op_vote(void)
{
    struct approval p;
    struct person person = person_of(&first);
    struct actor by = user(&first);
    struct approval_vote v = {.person = &person, .approves = true, .note = {NULL, 0}, .hash = {NULL, 0}};
    enum err_code code = approval_get(fx.db, &arena, S(FIRST), &p, NULL);
    return code ? code : approval_decide(fx.db, &by, &p, &v, NULL);
}

static enum err_code op_withdraw(void)
{
    return approval_proposal_withdrawn(
        fx.db, &TEST_ACTOR, &base.id, S("prop_00000000000000000000000000"), NULL);
}

static const struct control_operation OPERATIONS[] = {
    {"ask", op_open},
    {"vote", op_vote},
    {"withdraw", op_withdraw},
};

static void prepare_fault(void)
{
    prepare();
    ASK(FIRST, 1);
}

static const struct control_fault APPROVALS = {
    &fx, prepare_fault, release, OPERATIONS, ARRAY_LEN(OPERATIONS)};

void test_approval__all_or_nothing_without_memory(void **state)
{
    (void)state;
    control_fault_run(&APPROVALS, FAULT_SQLITE_MEM);
}

void test_approval__all_or_nothing_when_fsync_fails(void **state)
{
    (void)state;
    control_fault_run(&APPROVALS, FAULT_SQLITE_SYNC);
}
