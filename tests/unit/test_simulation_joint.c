/* Held writes in their database together with their approvals in control.db, against one model of both: the
 * bearer asks, redeems (twice at once too) and withdraws, people decide and have it run, others write to the
 * rows meanwhile, time passes. The front may die after each thing that is durable, transactions of control.db
 * are lost, the engine is killed while it writes. What is stored on either side must be the model's after
 * every step; in the end, when whatever is in doubt has been asked about, both sides tell the same.
 *
 * The code between the two is the front's own: held_read, redeem_note, approval_settle, approval_doubt.
 * SEED=n repeats a run, STEPS=n says how long it is. */
#include "api/approvals.h"
#include "api/held.h"
#include "base/clock.h"
#include "lib/faultplan.h"
#include "lib/op_fixture.h"
#include "lib/simulation.h"
#include "lib/unit.h"
#include <stdio.h>

#ifdef HF_DEBUG
enum { STEPS = 300 };
#else
enum { STEPS = 2000 };
#endif

enum { STEPS_MAX = 100000 /* each takes three times what one of a simulation of one side takes */ };
enum { SLOTS = 12, NEEDED = 2, HOUR_MS = 3600000, TTL_MS = 24 * HOUR_MS, CHECK_EVERY = 10, TIDY_EVERY = 500 };

#define OTHER_HASH "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* What the database knows. */
enum deed { WAITS, APPLIED, DRIFTED, WITHDRAWN };
static const char *const DEEDS[] = {"pending", "applied", "drifted", "withdrawn"};

struct slot {
    bool used;
    char id[APPROVAL_ID_SIZE], proposal[ID_MAX], hash[APPROVAL_HASH_SIZE];
    struct write write;
    struct effect effect; /* what was shown */
    enum deed deed;
    enum approval_status status; /* without the time */
    int given;
    unsigned voted;   /* people, as bits */
    bool runs, asked; /* `asked`: its database may know more than control.db does */
    int64_t left_ms;
};

static struct op_fixture f;
static struct control_fixture fx;
static struct faultplan *g_plan;
static struct arena g_arena;
static struct simulation_people g_all;
static struct table g_table;
static struct slot g_slots[SLOTS];
static struct {
    unsigned made, applied, redeemed, voided, denied, withdrawn, crashes, lost, asked;
} g_seen;

static unsigned draw(unsigned below)
{
    return simulation_draw(below);
}

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

/* The front dies here; what it had not written down is not known to the next one. */
static bool dies(void)
{
    return draw(6) == 0;
}

static struct slot *any(void)
{
    struct slot *s = &g_slots[draw(SLOTS)];
    return s->used ? s : NULL;
}

static bool is_open(const struct slot *s)
{
    return s->status == APPROVAL_PENDING || s->status == APPROVAL_APPROVED;
}

static enum approval_status now_of(const struct slot *s)
{
    return is_open(s) && !s->asked && s->left_ms <= 0 ? APPROVAL_EXPIRED : s->status;
}

static bool waits(const struct slot *s)
{
    return s->deed == WAITS && s->left_ms > 0;
}

static bool end_tx(enum err_code code)
{
    return simulation_end_tx(fx.db, code, &g_seen.lost);
}

static struct approval get(const struct slot *s)
{
    struct approval p;
    must(approval_get(fx.db, &g_arena, str_of(s->id), &p, NULL));
    return p;
}

static void commit(const struct effect *e)
{
    for (int i = 0; i < ROWS; i++) {
        if (e->changed & 1u << i)
            g_table.row[i] = e->after.row[i];
    }
}

/* --- Asking --- */

static void as_bearer(void)
{
    f.token_id = id_str(&g_all.token.id);
    f.role = WIRE_ROLE_ADMIN;
}

/* One that nobody waits for any more; its rows stay on both sides. */
static struct slot *place(void)
{
    struct slot *s = &g_slots[draw(SLOTS)];
    bool over = !s->used || (now_of(s) != APPROVAL_PENDING && now_of(s) != APPROVAL_APPROVED);
    return over || draw(10) == 0 ? s : NULL;
}

static void fill(struct slot *s, const struct approval_new *in, const struct write *w, const struct effect *e)
{
    *s = (struct slot){.used = true, .write = *w, .effect = *e, .left_ms = in->expires_at - clock_wall_ms()};
    assert_in_range(s->left_ms, TTL_MS - HOUR_MS / 2, TTL_MS);
    s->left_ms = TTL_MS;
    str_print(s->id, sizeof s->id, STR_FMT, STR_ARG(in->id));
    str_print(s->proposal, sizeof s->proposal, STR_FMT, STR_ARG(in->proposal_id));
    str_print(s->hash, sizeof s->hash, STR_FMT, STR_ARG(in->hash));
    g_seen.made++;
}

/* As api/held.c does it. */
static bool register_held(struct approval_new *in)
{
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = g_all.token.id};
    in->database_id = g_all.database.id;
    in->namespace_id = fx.tenant.id;
    in->token_id = g_all.token.id;
    must(tx_begin_write(fx.db, NULL));
    return end_tx(approval_open(fx.db, &by, in, NULL));
}

static void ask(void)
{
    char sql[200], body[300];
    struct held_reply held;
    struct slot *s = place();
    struct write w = simulation_write();
    struct effect e = effect_of(&g_table, &w);
    if (!s)
        return;
    write_sql(&w, sql);
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    as_bearer();
    enum err_code code = op_fixture_run(&f, WIRE_OP_QUERY, str_of(body), NULL);
    simulation_expect(sql, code, e.fails ? ERR_SQL : ERR_FORBIDDEN);
    if (e.fails || dies())
        return;
    must(held_read(&g_arena, f.out, &held, NULL));
    assert_int_equal(held.in.needed, NEEDED);
    if (register_held(&held.in))
        fill(s, &held.in, &w, &e);
}

/* --- What its database knows --- */

static enum approval_status ended_as(const struct slot *s)
{
    switch (s->deed) {
    case APPLIED: return APPROVAL_REDEEMED;
    case DRIFTED: return APPROVAL_VOID;
    case WITHDRAWN: return APPROVAL_WITHDRAWN;
    case WAITS: break;
    }
    return s->left_ms <= 0 ? APPROVAL_EXPIRED : s->status;
}

static void ends(struct slot *s, enum approval_status as)
{
    g_seen.redeemed += as == APPROVAL_REDEEMED && s->status == APPROVAL_APPROVED;
    g_seen.voided += as == APPROVAL_VOID && is_open(s);
    g_seen.withdrawn += as == APPROVAL_WITHDRAWN && is_open(s);
    if (!is_open(s))
        return;
    s->asked &= as == APPROVAL_REDEEMED || as == APPROVAL_APPROVED;
    s->status = as;
}

/* As approval_reconcile(), whose engine is a supervisor's. */
static void reconcile(struct slot *s)
{
    struct approval p = get(s);
    const struct op_arg args[] = {{"id", s->proposal}, {NULL, NULL}};
    if (!p.redeem_began_at || (p.status != APPROVAL_PENDING && p.status != APPROVAL_APPROVED))
        return;
    as_bearer();
    must(op_fixture_run(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args));
    g_seen.asked++;
    must(tx_begin_write(fx.db, NULL));
    if (end_tx(approval_settle(fx.db, &p, f.head.status, op_fixture_json(&f), NULL)))
        ends(s, ended_as(s));
}

/* --- Redeeming --- */

static bool applicable(const struct slot *s, struct effect *now)
{
    *now = effect_of(&g_table, &s->write);
    return effect_eq(now, &s->effect);
}

/* What the engine must have done, and answered. */
struct want {
    int status;
    bool drifted, held; /* by this call; what it would do now waits anew */
    struct effect now;
};

static struct want want_of(struct slot *s)
{
    struct want w = {.status = s->deed == APPLIED ? 404 : 409};
    bool fits = applicable(s, &w.now);
    if (!waits(s))
        return w;
    s->deed = fits ? APPLIED : DRIFTED;
    w.drifted = !fits;
    w.held = !fits && !w.now.fails;
    g_seen.applied += fits;
    if (fits) {
        w.status = 200;
        commit(&w.now);
    }
    return w;
}

static void note(struct slot *s, const struct want *want, const struct wire_reply_head *head, struct str body)
{
    struct err err = ERR_INIT;
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = g_all.token.id};
    struct redeem x = {.p = get(s), .head = *head};
    struct api_call c = {.db = fx.db, .by = &by, .err = &err};
    if (head->status != want->status || head->held != want->held)
        fail_msg("redeem: want %d, got %d: %.*s", want->status, head->status, STR_ARG(body));
    if (dies())
        return;
    arena_init(&x.arena, 16 << 20);
    strbuf_init(&x.reply, 16 << 20);
    strbuf_add_str(&x.reply, body);
    must(redeem_note(&c, &x));
    if (want->status == 200 || want->drifted)
        ends(s, want->drifted ? APPROVAL_VOID : APPROVAL_REDEEMED);
    assert_int_equal(x.held != NULL, want->held);
    struct slot *fresh = x.held ? place() : NULL;
    if (fresh && fresh != s)
        fill(fresh, &x.held->in, &s->write, &want->now);
    arena_release(&x.arena);
    strbuf_release(&x.reply);
}

static struct wire_call redeem_call(const struct slot *s, const char *body)
{
    struct wire_call call = engine_call_new(WIRE_OP_REDEEM, body);
    call.token_id = id_str(&g_all.token.id);
    call.role = WIRE_ROLE_ADMIN;
    call.arg_count = 1;
    call.args[0] = (struct wire_arg){S("id"), str_of(s->proposal)};
    return call;
}

static enum deed deed_in_file(const struct slot *s)
{
    char sql[200];
    str_print(sql, sizeof sql, "SELECT state FROM _sys_proposal WHERE id = '%s'", s->proposal);
    struct str state = str_of(op_fixture_value(&f, sql));
    for (int i = 0; i < (int)ARRAY_LEN(DEEDS); i++) {
        if (str_eq(state, str_of(DEEDS[i])))
            return (enum deed)i;
    }
    return WAITS; /* stale, or expired */
}

/* The engine is killed while it does it, and nobody hears of it. */
static void redeem_dying(struct slot *s, const char *body)
{
    struct slot before = *s;
    struct table table = g_table;
    struct engine_answer answer;
    struct wire_call call = redeem_call(s, body);
    faultplan_arm(g_plan, draw(3) ? FAULT_AT_WRITE : FAULT_AT_SYNC, 1 + draw(6), FAULT_DIE, false);
    (void)engine_queue(&f.engine, &call);
    bool answered = engine_try_send_all(&f.engine) && engine_try_receive(&f.engine, &answer);
    faultplan_off(g_plan);
    op_fixture_again(&f);
    g_seen.crashes++;
    (void)want_of(s);
    if (deed_in_file(s) == s->deed)
        return;
    assert_false(answered);
    g_seen.applied -= s->deed == APPLIED;
    *s = before;
    g_table = table;
}

/* Two requests reach it in one turn: the first has it, the other one is told what became of it. */
static void redeem_twice(struct slot *s, const char *body)
{
    struct engine_answer answers[2];
    struct wire_call call = redeem_call(s, body);
    uint64_t first = engine_queue(&f.engine, &call);
    (void)engine_queue(&f.engine, &call);
    engine_exchange(&f.engine, first, 2, answers);
    for (int i = 0; i < 2; i++) {
        struct want want = want_of(s);
        note(s, &want, &answers[i].head, answers[i].body);
    }
    arena_release(&f.engine.arena);
}

static void redeem_once(struct slot *s, const char *body)
{
    const struct op_arg args[] = {{"id", s->proposal}, {NULL, NULL}};
    as_bearer();
    (void)op_fixture_run(&f, WIRE_OP_REDEEM, str_of(body), args);
    struct want want = want_of(s);
    note(s, &want, &f.head, f.out);
}

/* It is noted, durably, that its database is asked. */
static void redeem_begun(struct slot *s)
{
    char body[200];
    s->asked = true;
    if (dies())
        return;
    str_print(body, sizeof body, "{\"hash\":\"%s\"}", s->hash);
    unsigned how = draw(20);
    if (how == 0)
        redeem_dying(s, body);
    else if (how < 5)
        redeem_twice(s, body);
    else
        redeem_once(s, body);
}

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
    if (end_tx(code))
        redeem_begun(s);
}

/* --- Deciding --- */

static enum err_code vote_want(const struct slot *s, int who, bool right_hash)
{
    if (who == SIMULATION_REQUESTER || who >= SIMULATION_DECIDERS)
        return ERR_FORBIDDEN;
    bool can = s->status == APPROVAL_PENDING && s->left_ms > 0 && right_hash && !(s->voted & 1u << who);
    return can ? ERR_OK : ERR_CONFLICT;
}

static void voted(struct slot *s, int who, bool approves, bool runs)
{
    s->voted |= 1u << who;
    s->given += approves;
    s->runs |= runs;
    g_seen.denied += !approves;
    if (!approves)
        s->status = APPROVAL_DENIED;
    else if (s->given >= NEEDED)
        s->status = APPROVAL_APPROVED;
}

static void vote(void)
{
    struct slot *s = any();
    if (!s)
        return;
    int who = (int)draw(SIMULATION_PEOPLE);
    bool approves = draw(8) != 0, right_hash = draw(8) != 0, runs = approves && draw(4) == 0;
    if (approves)
        reconcile(s);
    struct approval p = get(s);
    struct actor by = {.kind = ACTOR_USER, .user_id = g_all.person[who].id};
    struct person person = {
        .session_id = id_new("ses"), .account = g_all.person[who], .confirmed_at = clock_wall_ms()};
    struct approval_vote v = {.person = &person,
        .approves = approves,
        .note = {NULL, 0},
        .hash = right_hash ? str_of(s->hash) : S(OTHER_HASH),
        .run = runs};
    must(tx_begin_write(fx.db, NULL));
    enum err_code code = approval_decide(fx.db, &by, &p, &v, NULL);
    simulation_expect("vote", code, vote_want(s, who, right_hash));
    bool run_now = !code && p.status == APPROVAL_APPROVED && p.run_at_once;
    if (run_now)
        code = approval_begin_redeem(fx.db, &p, NULL);
    if (!end_tx(code))
        return;
    voted(s, who, approves, runs);
    assert_int_equal(run_now, s->status == APPROVAL_APPROVED && s->runs);
    if (run_now)
        redeem_begun(s);
}

/* --- Withdrawing --- */

/* The next start: whatever waits in that database may have been withdrawn. */
static void start_in_doubt(void)
{
    must(tx_begin_write(fx.db, NULL));
    must(approval_doubt(fx.db, &g_all.database.id, NULL));
    must(tx_commit(fx.db, NULL));
    for (int i = 0; i < SLOTS; i++)
        g_slots[i].asked |= g_slots[i].used && is_open(&g_slots[i]);
}

static void withdraw(void)
{
    struct slot *s = any();
    if (!s)
        return;
    struct actor by = {.kind = ACTOR_TOKEN, .token_id = g_all.token.id};
    const struct op_arg args[] = {{"id", s->proposal}, {NULL, NULL}};
    bool can = waits(s);
    as_bearer();
    simulation_expect("withdraw", op_fixture_run(&f, WIRE_OP_PROPOSAL_WITHDRAW, STR_EMPTY, args),
        can ? ERR_OK : ERR_CONFLICT);
    if (!can)
        return;
    s->deed = WITHDRAWN;
    if (dies()) {
        start_in_doubt();
        return;
    }
    must(tx_begin_write(fx.db, NULL));
    if (end_tx(approval_proposal_withdrawn(fx.db, &by, &g_all.database.id, str_of(s->proposal), NULL)))
        ends(s, APPROVAL_WITHDRAWN);
    else
        start_in_doubt(); /* the note of the audit log stays */
}

/* --- What else happens --- */

static void reconcile_any(void)
{
    struct slot *s = any();
    if (s)
        reconcile(s);
}

/* Nobody holds this one, and it is no engine's. */
static void write_beside(void)
{
    char sql[200];
    struct write w = simulation_write();
    struct effect e = effect_of(&g_table, &w);
    if (e.fails)
        return;
    write_sql(&w, sql);
    op_fixture_sql(&f, sql);
    commit(&e);
}

static void expire(void)
{
    bool more = false;
    must(approval_expire(fx.db, clock_wall_ms(), &more, NULL));
    for (int i = 0; i < SLOTS; i++)
        g_slots[i].status = g_slots[i].used ? now_of(&g_slots[i]) : APPROVAL_PENDING;
}

/* What is stored goes back instead, on both sides by the same. What really passes is far less than an hour.
 */
static void pass_time(void)
{
    char sql[200];
    int64_t by_ms = HOUR_MS * (int64_t)(draw(8) ? 1 + draw(3) : draw(26));
    str_print(
        sql, sizeof sql, "UPDATE _sys_proposal SET expires_at_ms = expires_at_ms - %lld", (long long)by_ms);
    op_fixture_sql(&f, sql);
    must(tx_begin_write(fx.db, NULL));
    must(db_exec(fx.db, "UPDATE approval SET expires_at = expires_at - ?1", DB_ARGS(db_int(by_ms)), NULL));
    must(tx_commit(fx.db, NULL));
    for (int i = 0; i < SLOTS; i++)
        g_slots[i].left_ms -= by_ms;
    if (draw(2))
        expire();
}

/* --- Looking --- */

static void look_at(int i)
{
    const struct slot *s = &g_slots[i];
    struct approval p = get(s);
    if (p.status != now_of(s) || p.given != s->given || (p.redeem_began_at != 0) != s->asked)
        fail_msg("approval %d: want %s with %d, asked %d, is %s with %lld, %lld", i,
            approval_status_name(now_of(s)), s->given, s->asked, approval_status_name(p.status),
            (long long)p.given, (long long)p.redeem_began_at);
    enum deed deed = deed_in_file(s);
    if (deed != s->deed)
        fail_msg("proposal %d: want %s, is %s", i, DEEDS[s->deed], DEEDS[deed]);
}

static void look(void)
{
    simulation_expect_table(f.db, &g_table);
    for (int i = 0; i < SLOTS; i++) {
        if (g_slots[i].used)
            look_at(i);
    }
    arena_release(&g_arena);
}

/* Without the model: what was done is redeemed, and nothing else is. */
static void expect_agreement(void)
{
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &g_slots[i];
        for (int tries = 0; s->used && s->asked && is_open(s) && tries < 100; tries++)
            reconcile(s);
        if (!s->used || (s->asked && is_open(s) && s->deed == WAITS))
            continue;
        enum deed deed = deed_in_file(s);
        struct approval p = get(s);
        assert_int_equal(deed == APPLIED, p.status == APPROVAL_REDEEMED);
        assert_true(deed != DRIFTED || p.status == APPROVAL_VOID);
        assert_true(deed != WITHDRAWN || (p.status != APPROVAL_PENDING && p.status != APPROVAL_APPROVED));
    }
    arena_release(&g_arena);
}

static void tidy(void)
{
    static const char *const PARTS[] = {"_sys_proposal_part", "_sys_proposal_row", "_sys_proposal_table"};
    struct strbuf sql;
    strbuf_init(&sql, 1 << 16);
    strbuf_add_cstr(&sql, "DELETE FROM _sys_proposal WHERE id NOT IN (''");
    for (int i = 0; i < SLOTS; i++)
        strbuf_addf(&sql, ", '%s'", g_slots[i].proposal);
    strbuf_add_cstr(&sql, ")");
    for (size_t i = 0; i < ARRAY_LEN(PARTS); i++)
        strbuf_addf(&sql, "; DELETE FROM %s WHERE proposal NOT IN (SELECT seq FROM _sys_proposal)", PARTS[i]);
    op_fixture_sql(&f, strbuf_cstr(&sql));
    strbuf_release(&sql);
}

static void begin(void)
{
    g_plan = faultplan_new();
    op_fixture_init_planned(&f, g_plan);
    control_fixture_init(&fx);
    arena_init(&g_arena, 64 << 20);
    simulation_people(&fx, &g_arena, &g_all);
    simulation_make_table(f.db, &g_table);
    op_fixture_ok(&f, WIRE_OP_RULE_SET,
        S("{\"tableGlob\":\"t\",\"action\":\"require_approval\",\"approvals\":2}"), NULL);
}

static void end(void)
{
    op_fixture_release(&f);
    faultplan_free(g_plan);
    control_fixture_release(&fx);
    arena_release(&g_arena);
}

static void one_step(void)
{
    static const struct {
        void (*what)(void);
        unsigned weight;
    } DO[] = {{ask, 20}, {vote, 42}, {redeem, 22}, {reconcile_any, 5}, {withdraw, 2}, {write_beside, 7},
        {pass_time, 2}};
    unsigned dice = draw(100), at = 0;
    while (dice >= DO[at].weight)
        dice -= DO[at++].weight;
    DO[at].what();
}

void test_simulation__joint(void **state)
{
    uint64_t steps = simulation_begin(STEPS);
    (void)state;
    if (steps > STEPS_MAX)
        steps = STEPS_MAX;
    begin();
    for (uint64_t i = 0; i < steps; i++) {
        one_step();
        if (i % CHECK_EVERY == 0)
            look();
        if (i % TIDY_EVERY == TIDY_EVERY - 1)
            tidy();
    }
    look();
    expect_agreement();
    printf(
        "%u made, %u applied, %u redeemed, %u void, %u denied, %u withdrawn, %u asked about, %u crashes, %u "
        "transactions lost\n",
        g_seen.made, g_seen.applied, g_seen.redeemed, g_seen.voided, g_seen.denied, g_seen.withdrawn,
        g_seen.asked, g_seen.crashes, g_seen.lost);
    assert_int_equal(simulation_count_audit(fx.db, "approval.redeemed"), g_seen.redeemed);
    assert_int_equal(simulation_count_audit(fx.db, "approval.voided"), g_seen.voided);
    assert_int_equal(simulation_count_audit(fx.db, "approval.denied"), g_seen.denied);
    assert_int_equal(simulation_count_audit(fx.db, "approval.withdrawn"), g_seen.withdrawn);
    assert_true(steps < 2000 || (g_seen.applied > steps / 400 && g_seen.voided > 0)); /* it did something */
    end();
}
