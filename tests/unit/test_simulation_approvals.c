/* Approvals against a model of them: people with and without the right vote with the hash that was shown or
 * another, requesters redeem and withdraw, the tenant's database does what was approved, does something else
 * by now or is not reached, every transaction may be lost in a crash, time passes. After every step the
 * answer and what is stored must be the model's; a deed is done once, and recorded once.
 *
 * SEED=n repeats a run, STEPS=n says how long it is. */
#include "approval/approval.h"
#include "base/clock.h"
#include "lib/simulation.h"
#include "lib/unit.h"
#include <stdio.h>

#define HASH  "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define T0    1800000000000

#ifdef HF_DEBUG
enum { STEPS = 600 };
#else
enum { STEPS = 3000 };
#endif

enum { STEPS_MAX = 200000 /* most leave a row of the audit log */ };
enum { SLOTS = 6, HOUR_MS = 3600000 };

/* What the tenant's database knows. */
enum deed { WAITS, DONE, DRIFTED };

struct slot {
    bool used;
    char id[APPROVAL_ID_SIZE];
    enum approval_status status; /* without the time */
    int needed, given;
    unsigned voted; /* people, as bits */
    bool began;
    int64_t expires_ms;
    enum deed deed;
    int done; /* how often */
};

static struct control_fixture fx;
static struct arena g_arena;
static struct simulation_people g_all;
static struct slot g_slots[SLOTS];
static unsigned g_redeemed, g_made, g_voided, g_denied, g_expired, g_lost;

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

static void prepare(void)
{
    control_fixture_init(&fx);
    arena_init(&g_arena, 64 << 20);
    simulation_people(&fx, &g_arena, &g_all);
}

/* --- The model --- */

/* What the database alone knows is not over by the time. */
static enum approval_status now_of(const struct slot *s)
{
    bool open = s->status == APPROVAL_PENDING || s->status == APPROVAL_APPROVED;
    return open && !s->began && s->expires_ms <= clock_wall_ms() ? APPROVAL_EXPIRED : s->status;
}

static struct slot *any(void)
{
    struct slot *s = &g_slots[simulation_draw(SLOTS)];
    return s->used ? s : NULL;
}

static bool end_tx(enum err_code code)
{
    return simulation_end_tx(fx.db, code, &g_lost);
}

static struct approval get(const struct slot *s)
{
    struct approval p;
    must(approval_get(fx.db, &g_arena, str_of(s->id), &p, NULL));
    return p;
}

/* --- Steps --- */

static void open_one(void)
{
    struct slot *s = &g_slots[simulation_draw(SLOTS)];
    struct id id = id_new_random("appr");
    bool again = s->used && simulation_draw(3) == 0;
    bool over = s->used && now_of(s) != APPROVAL_PENDING && now_of(s) != APPROVAL_APPROVED;
    if (s->used && !again && !over)
        return;
    if (!again) {
        *s = (struct slot){
            .needed = 1 + (int)simulation_draw(2), .expires_ms = clock_wall_ms() + 24 * HOUR_MS};
        str_print(s->id, sizeof s->id, "%s", id.text);
    }
    struct id proposal = id_new("prop");
    struct approval_new in = {.id = str_of(s->id),
        .proposal_id = again ? id_str(&(struct id){{0}}) : id_str(&proposal),
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
        .needed = s->needed,
        .approver_role = {NULL, 0},
        .expires_at = s->expires_ms,
        .database_id = g_all.database.id,
        .namespace_id = fx.tenant.id,
        .token_id = g_all.token.id};
    struct approval p;
    if (again) {
        p = get(s);
        in.proposal_id = id_str(&p.proposal_id);
    }
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = g_all.token.id};
    must(tx_begin_write(fx.db, NULL));
    enum err_code code = approval_open(fx.db, &by, &in, NULL);
    simulation_expect("open", code, ERR_OK);
    bool kept = end_tx(code);
    s->used |= kept && !again;
    g_made += kept && !again;
}

static enum err_code vote_want(const struct slot *s, int who, bool right_hash)
{
    if (who == SIMULATION_REQUESTER || who >= SIMULATION_DECIDERS)
        return ERR_FORBIDDEN;
    return now_of(s) == APPROVAL_PENDING && right_hash && !(s->voted & 1u << who) ? ERR_OK : ERR_CONFLICT;
}

static void vote(void)
{
    struct slot *s = any();
    if (!s)
        return;
    int who = (int)simulation_draw(SIMULATION_PEOPLE);
    bool approves = simulation_draw(6) != 0, right_hash = simulation_draw(8) != 0;
    struct approval p = get(s);
    struct actor by = {.kind = ACTOR_USER, .user_id = g_all.person[who].id};
    struct person person = {
        .session_id = id_new("ses"), .account = g_all.person[who], .confirmed_at = clock_wall_ms()};
    struct approval_vote v = {
        .person = &person, .approves = approves, .note = {NULL, 0}, .hash = right_hash ? S(HASH) : S(OTHER)};
    must(tx_begin_write(fx.db, NULL));
    enum err_code want = vote_want(s, who, right_hash), code = approval_decide(fx.db, &by, &p, &v, NULL);
    simulation_expect("vote", code, want);
    if (!end_tx(code))
        return;
    s->voted |= 1u << who;
    s->given += approves;
    if (!approves)
        s->status = APPROVAL_DENIED;
    else if (s->given >= s->needed)
        s->status = APPROVAL_APPROVED;
    g_denied += !approves;
}

static bool settle(struct slot *s)
{
    struct approval p = get(s);
    must(tx_begin_write(fx.db, NULL));
    enum err_code code = s->deed == DONE
                             ? approval_redeemed(fx.db, &TEST_ACTOR, &p, clock_wall_ms(), NULL)
                             : approval_end(fx.db, &TEST_ACTOR, &p, APPROVAL_VOID, STR_EMPTY, NULL);
    simulation_expect("settle", code, ERR_OK);
    if (!end_tx(code))
        return false;
    if (s->status == APPROVAL_APPROVED) {
        s->status = s->deed == DONE ? APPROVAL_REDEEMED : APPROVAL_VOID;
        s->began = s->began && s->deed == DONE;
        g_redeemed += s->deed == DONE;
        g_voided += s->deed != DONE;
    }
    return true;
}

/* As the front does it: note it durably, ask the database, tell. A crash may come after each. */
static void redeem(void)
{
    struct slot *s = any();
    if (!s)
        return;
    struct approval p = get(s);
    enum approval_status now = now_of(s);
    must(tx_begin_write(fx.db, NULL));
    enum err_code code = approval_begin_redeem(fx.db, &p, NULL);
    simulation_expect("redeem", code,
        now == APPROVAL_APPROVED   ? ERR_OK
        : now == APPROVAL_REDEEMED ? ERR_NOT_FOUND
                                   : ERR_CONFLICT);
    if (!end_tx(code))
        return;
    s->began = true;
    if (simulation_draw(5) == 0)
        return; /* the database was not reached */
    if (s->deed == WAITS) {
        s->deed = simulation_draw(6) ? DONE : DRIFTED;
        s->done += s->deed == DONE;
    }
    if (simulation_draw(4))
        (void)settle(s);
}

/* A reader finds it where it was left, and asks the database; or another one has told it meanwhile. */
static void reconcile(void)
{
    struct slot *s = any();
    bool told = s && (s->status == APPROVAL_REDEEMED || s->status == APPROVAL_VOID);
    if (s && s->deed != WAITS && (told || (s->began && s->status == APPROVAL_APPROVED)))
        (void)settle(s);
}

static void withdraw(void)
{
    struct slot *s = any();
    if (!s || s->began)
        return;
    struct approval p = get(s);
    bool open = s->status == APPROVAL_PENDING || s->status == APPROVAL_APPROVED;
    must(tx_begin_write(fx.db, NULL));
    enum err_code code = approval_end(fx.db, &TEST_ACTOR, &p, APPROVAL_WITHDRAWN, STR_EMPTY, NULL);
    simulation_expect("withdraw", code, ERR_OK);
    if (end_tx(code) && open)
        s->status = APPROVAL_WITHDRAWN;
}

static void pass_time(void)
{
    bool more = false;
    clock_test_advance((int64_t)(1 + simulation_draw(20)) * HOUR_MS * 1000 / 2);
    if (simulation_draw(2))
        return;
    must(approval_expire(fx.db, clock_wall_ms(), &more, NULL));
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &g_slots[i];
        g_expired += s->used && s->status != now_of(s);
        s->status = now_of(s);
    }
}

static void look(void)
{
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *s = &g_slots[i];
        if (!s->used)
            continue;
        struct approval p = get(s);
        if (p.status != now_of(s) || p.given != s->given || (p.redeem_began_at != 0) != s->began)
            fail_msg("approval %d: want %s with %d, is %s with %lld", i, approval_status_name(now_of(s)),
                s->given, approval_status_name(p.status), (long long)p.given);
        assert_in_range(s->done, 0, 1);
        assert_true(s->status != APPROVAL_REDEEMED || s->done == 1);
    }
    arena_release(&g_arena);
}

void test_simulation__approvals(void **state)
{
    static void (*const DO[])(void) = {
        open_one, vote, vote, vote, vote, redeem, redeem, redeem, reconcile, withdraw, pass_time};
    uint64_t steps = simulation_begin(STEPS);
    (void)state;
    if (steps > STEPS_MAX)
        steps = STEPS_MAX;
    clock_test_set(1000000, T0);
    prepare();
    for (uint64_t i = 0; i < steps; i++) {
        unsigned dice = simulation_draw(60);
        DO[dice == 0 ? ARRAY_LEN(DO) - 1 : dice % (ARRAY_LEN(DO) - 1)]();
        if (i % 4 == 0)
            look();
    }
    look();
    printf("%u made, %u redeemed, %u void, %u denied, %u expired, %u transactions lost\n", g_made, g_redeemed,
        g_voided, g_denied, g_expired, g_lost);
    assert_int_equal(simulation_count_audit(fx.db, "approval.requested"), g_made);
    assert_int_equal(simulation_count_audit(fx.db, "approval.redeemed"), g_redeemed);
    assert_int_equal(simulation_count_audit(fx.db, "approval.voided"), g_voided);
    assert_int_equal(simulation_count_audit(fx.db, "approval.denied"), g_denied);
    assert_true(steps < 2000 || g_redeemed > steps / 1000); /* it did something */
    assert_true(steps < 20000 || (g_voided > 0 && g_denied > 0));
    control_fixture_release(&fx);
    arena_release(&g_arena);
    clock_test_stop();
}
