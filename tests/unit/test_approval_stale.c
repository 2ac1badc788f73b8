/* Whoever decides, redeems or confirms read the approval a moment ago, and it is another one by now: what
 * counts is the row when it is written. */
#include "approval/approval.h"
#include "base/clock.h"
#include "lib/simulation.h"
#include "lib/unit.h"

#define T0     1800000000000
#define HASH   "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ID     "appr_0123456789abcdef0123456789"
#define DAY_MS INT64_C(86400000)

static struct control_fixture fx;
static struct arena arena;
static struct simulation_people all;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static struct approval get(void)
{
    struct approval p;
    must(approval_get(fx.db, &arena, S(ID), &p, NULL));
    return p;
}

static void begin(void)
{
    clock_test_set(1000000, T0);
    control_fixture_init(&fx);
    arena_init(&arena, 16 << 20);
    simulation_people(&fx, &arena, &all);
    const struct str none = {NULL, 0};
    struct approval_new in = {.id = S(ID),
        .proposal_id = S("prop_00000000000000000000000000"),
        .action = S("write"),
        .hash = S(HASH),
        .sql = S("UPDATE t SET a = 1"),
        .hits = S("[]"),
        .rules_version = none,
        .reason = none,
        .ticket = none,
        .agent = none,
        .model = none,
        .statements = none,
        .needed = 1,
        .approver_role = none,
        .expires_at = T0 + DAY_MS,
        .database_id = all.database.id,
        .namespace_id = fx.tenant.id,
        .token_id = all.token.id};
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = all.token.id};
    must(tx_begin_write(fx.db, NULL));
    must(tx_end(fx.db, approval_open(fx.db, &by, &in, NULL), NULL));
}

static void end(void)
{
    control_fixture_release(&fx);
    arena_release(&arena);
    clock_test_stop();
}

/* --- What is done with an approval as it was read --- */

static enum err_code vote(struct approval *p, int who, bool approves)
{
    struct actor by = {.kind = ACTOR_USER, .user_id = all.person[who].id};
    struct person person = {
        .session_id = id_new("ses"), .account = all.person[who], .confirmed_at = clock_wall_ms()};
    struct approval_vote v = {.person = &person,
        .approves = approves,
        .note = {NULL, 0},
        .hash = S(HASH),
        .confirm_within_s = approves ? 60 : 0};
    return approval_decide(fx.db, &by, p, &v, NULL);
}

static enum err_code approve(struct approval *p)
{
    return vote(p, 1, true);
}

static enum err_code approve_too(struct approval *p)
{
    return vote(p, 2, true);
}

static enum err_code deny(struct approval *p)
{
    return vote(p, 3, false);
}

static enum err_code begin_redeem(struct approval *p)
{
    return approval_begin_redeem(fx.db, p, NULL);
}

static enum err_code redeemed(struct approval *p)
{
    return approval_redeemed(fx.db, &TEST_ACTOR, p, clock_wall_ms(), NULL);
}

static enum err_code withdraw(struct approval *p)
{
    return approval_end(fx.db, &TEST_ACTOR, p, APPROVAL_WITHDRAWN, STR_EMPTY, NULL);
}

static enum err_code confirm(struct approval *p)
{
    struct actor by = {.kind = ACTOR_USER, .user_id = all.person[1].id};
    struct person person = {
        .session_id = id_new("ses"), .account = all.person[1], .confirmed_at = clock_wall_ms()};
    return approval_confirm(fx.db, &by, p, &person, NULL);
}

static enum err_code note_undo(struct approval *p)
{
    return approval_note_undo(fx.db, p, S("prop_00000000000000000000000001"), S(HASH), NULL);
}

static enum err_code undone(struct approval *p)
{
    return approval_undone(fx.db, &TEST_ACTOR, p, STR_EMPTY, NULL);
}

typedef enum err_code step_fn(struct approval *p);

static enum err_code in_tx(step_fn *step, struct approval *p)
{
    must(tx_begin_write(fx.db, NULL));
    return tx_end(fx.db, step(p), NULL);
}

/* Reads it as it is after `before`, then `meanwhile` happens; `late` changes nothing. */
static void too_late(step_fn *const before[], step_fn *meanwhile, step_fn *late, enum err_code want)
{
    begin();
    for (; *before; before++) {
        struct approval p = get();
        must(in_tx(*before, &p));
    }
    struct approval seen = get(), now = get();
    if (meanwhile)
        must(in_tx(meanwhile, &now));
    else
        clock_test_advance(DAY_MS * 1000); /* its time is over */
    char *was = control_fixture_dump(&fx);
    assert_int_equal(in_tx(late, &seen), want);
    char *is = control_fixture_dump(&fx);
    assert_string_equal(was, is);
    mem_free(was);
    mem_free(is);
    end();
}

void test_approval_stale__decisions(void **state)
{
    static step_fn *const NOTHING[] = {NULL};
    (void)state;
    too_late(NOTHING, approve, approve_too, ERR_CONFLICT);
    too_late(NOTHING, approve, deny, ERR_CONFLICT);
    too_late(NOTHING, deny, approve, ERR_CONFLICT);
    too_late(NOTHING, withdraw, approve, ERR_CONFLICT);
    too_late(NOTHING, withdraw, deny, ERR_CONFLICT);
    too_late(NOTHING, NULL, approve, ERR_CONFLICT);
    too_late(NOTHING, NULL, deny, ERR_CONFLICT);
}

void test_approval_stale__redemptions(void **state)
{
    static step_fn *const APPROVED[] = {approve, NULL}, *const BEGUN[] = {approve, begin_redeem, NULL};
    (void)state;
    too_late(APPROVED, withdraw, begin_redeem, ERR_CONFLICT);
    too_late(BEGUN, redeemed, begin_redeem, ERR_CONFLICT);
    too_late(BEGUN, redeemed, redeemed, ERR_OK);
    too_late(BEGUN, redeemed, withdraw, ERR_OK);
    too_late(BEGUN, withdraw, redeemed, ERR_OK);
}

void test_approval_stale__confirmations(void **state)
{
    static step_fn *const DONE[] = {approve, begin_redeem, redeemed, NULL};
    (void)state;
    too_late(DONE, confirm, confirm, ERR_CONFLICT);
    too_late(DONE, confirm, note_undo, ERR_CONFLICT);
    too_late(DONE, confirm, undone, ERR_OK);
    too_late(DONE, undone, confirm, ERR_CONFLICT);
    too_late(DONE, undone, undone, ERR_OK);
    too_late(DONE, NULL, confirm, ERR_CONFLICT);
}

void test_approval_stale__since_when_it_is_redeemed_stays(void **state)
{
    (void)state;
    begin();
    struct approval p = get();
    must(in_tx(approve, &p));
    must(in_tx(begin_redeem, &p));
    clock_test_advance(1000000);
    must(in_tx(begin_redeem, &p));
    assert_int_equal(get().redeem_began_at, T0);
    end();
}

void test_approval_stale__who_is_suspended_decides_nothing(void **state)
{
    (void)state;
    begin();
    struct approval p = get();
    must(tx_begin_write(fx.db, NULL));
    must(account_suspend(fx.db, &TEST_ACTOR, &all.person[1].id, true, NULL));
    must(tx_commit(fx.db, NULL));
    assert_int_equal(in_tx(approve, &p), ERR_NOT_FOUND);
    assert_int_equal(get().status, APPROVAL_PENDING);
    must(in_tx(approve_too, &p));
    end();
}
