/* Proposals against a model of them: several bearers propose, apply, withdraw and take back, others write
 * beside them, an admin changes the rules, the engine is killed, clocks are set forward. After every step the
 * answer must be the one that the model gives; every so often, and after every crash, rows and states too. A
 * token that could be used twice, a drift that was not seen or a write that was lost shows as a row.
 *
 * SEED=n repeats a run, STEPS=n says how long it is: `make check` asks for a million. */
#include "base/clock.h"
#include "lib/faultplan.h"
#include "lib/op_fixture.h"
#include "lib/simulation.h"
#include "lib/unit.h"
#include <stdio.h>

#ifdef HF_DEBUG
enum { STEPS = 2000 };
#else
enum { STEPS = 15000 };
#endif

enum { SLOTS = 48, BEARERS = 3, ADMIN = 2, TTL_S = 600, CHECK_EVERY = 40, CRASH_IN = 200, TICK_MS = 48000 };

static const char *const NAMES[BEARERS] = {"tok_a", "tok_b", "tok_c"};

/* --- The model --- */

enum state { PENDING, STALE, APPLIED, DRIFTED, WITHDRAWN, EXPIRED };
static const char *const STATES[] = {"pending", "stale", "applied", "drifted", "withdrawn", "expired"};

struct slot {
    bool used;
    int bearer;
    enum state state;
    bool may_be_stale; /* somebody was at a row of it, changing it or not */
    char id[60], token[100];
    struct write write;
    struct effect effect;
    int undo_of; /* slot, -1: it is no undo */
    int rules;
    int64_t left_ms; /* until it expires */
};

static struct op_fixture f;
static struct faultplan *g_plan;
static struct table g_table;
static struct slot g_slots[SLOTS];
static int g_rules; /* which rule there is; 0: none */
static char g_rule_id[60];
static struct {
    unsigned applied, drifted, undone, crashes, expired, refused, warned, looks;
} g_seen;

static bool waits(const struct slot *s)
{
    return s->used && (s->state == PENDING || s->state == STALE);
}

/* Somebody committed this. */
static void commit(const struct effect *e)
{
    for (int i = 0; i < ROWS; i++) {
        if (e->changed & 1u << i)
            g_table.row[i] = e->after.row[i];
    }
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &g_slots[i];
        if (s->state == PENDING && s->effect.changed & e->changed)
            s->state = STALE;
        s->may_be_stale |= (s->effect.matched & e->matched) != 0;
    }
}

static bool stands(int slot)
{
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *u = &g_slots[i];
        if (u->used && u->state == APPLIED && u->undo_of == slot && stands(i))
            return false;
    }
    return true;
}

/* --- The engine --- */

static void as(int bearer)
{
    f.token_id = str_of(NAMES[bearer]);
    f.role = bearer == ADMIN ? WIRE_ROLE_ADMIN : WIRE_ROLE_READWRITE;
}

static struct wire_call call_of(int bearer, enum wire_op op, const char *body)
{
    struct wire_call call = engine_call_new(op, body);
    call.token_id = str_of(NAMES[bearer]);
    call.role = bearer == ADMIN ? WIRE_ROLE_ADMIN : WIRE_ROLE_READWRITE;
    return call;
}

static void expect_code(const char *what, enum err_code got, enum err_code want)
{
    if (got != want)
        fail_msg("%s: want %s, got %s: %.*s", what, err_slug(want), err_slug(got), STR_ARG(f.out));
}

static int free_slot(void)
{
    int slot = (int)simulation_draw(SLOTS);
    for (int i = 0; i < SLOTS; i++) {
        if (!g_slots[i].used)
            return i;
    }
    return slot;
}

/* A slot that is given away takes with it what hangs on it, and what it took back. */
static void forget(int slot)
{
    struct slot *s = &g_slots[slot];
    if (!s->used)
        return;
    s->used = false;
    if (s->undo_of >= 0 && s->state == APPLIED)
        forget(s->undo_of);
    for (int i = 0; i < SLOTS; i++) {
        if (g_slots[i].undo_of == slot)
            forget(i);
    }
}

static void fill(int slot, const struct jsonr_value *v, const struct slot *like)
{
    struct slot s = *like;
    s.used = true;
    s.state = PENDING;
    s.may_be_stale = false;
    s.rules = g_rules;
    s.left_ms = TTL_S * 1000;
    str_print(s.id, sizeof s.id, "%s", op_json_text(v, "proposalId"));
    str_print(s.token, sizeof s.token, "%s", op_json_text(v, "executionToken"));
    g_slots[slot] = s;
}

static void propose(void)
{
    char sql[200], body[300];
    struct slot s = {.bearer = (int)simulation_draw(BEARERS), .write = simulation_write(), .undo_of = -1};
    s.effect = effect_of(&g_table, &s.write);
    write_sql(&s.write, sql);
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    as(s.bearer);
    enum err_code code = op_fixture_run(&f, WIRE_OP_PROPOSE, str_of(body), NULL);
    expect_code(sql, code, s.effect.fails ? ERR_SQL : ERR_OK);
    if (code)
        return;
    int slot = free_slot();
    forget(slot);
    fill(slot, op_fixture_json(&f), &s);
}

/* Would it be done? */
static bool applicable(const struct slot *s, struct effect *now)
{
    *now = s->effect;
    if (s->undo_of < 0)
        *now = effect_of(&g_table, &s->write);
    bool as_left = s->undo_of < 0 || effect_fits(&s->effect, &g_table);
    return as_left && s->rules == g_rules && effect_eq(now, &s->effect);
}

/* For whoever looks for the reason. */
static void tell(const struct slot *s, const struct effect *now)
{
    char sql[200];
    write_sql(&s->write, sql);
    printf("%s, undo of %d, rules %d of %d\n", sql, s->undo_of, s->rules, g_rules);
    for (int i = 0; i < ROWS; i++)
        printf("  %d: shown %d/%d -> %d/%d, now %d/%d -> %d/%d\n", i, s->effect.before.row[i].there,
            s->effect.before.row[i].v, s->effect.after.row[i].there, s->effect.after.row[i].v,
            now->before.row[i].there, now->before.row[i].v, now->after.row[i].there, now->after.row[i].v);
    (void)fflush(stdout);
}

static void applied(struct slot *s)
{
    struct effect done = s->effect;
    s->state = APPLIED;
    s->effect.matched = 0; /* it is watched no more */
    g_seen.applied++;
    g_seen.undone += s->undo_of >= 0;
    commit(&done);
}

/* The answer to a token that holds: what it did, or that it drifted. */
static void settle(struct slot *s, enum err_code code)
{
    struct effect now;
    bool want = applicable(s, &now);
    if ((code == ERR_OK) != want)
        tell(s, &now);
    expect_code("apply", code, want ? ERR_OK : ERR_CONFLICT);
    if (want) {
        applied(s);
        return;
    }
    g_seen.drifted++;
    s->state = DRIFTED;
    const struct jsonr_value *v = op_fixture_json(&f), *fresh = op_json_at(v, "proposal");
    assert_string_equal(op_json_text(v, "code"), "drift");
    bool has_fresh = s->undo_of < 0 && !now.fails;
    assert_int_equal(jsonr_kind(fresh), has_fresh ? JSONR_OBJECT : JSONR_NULL);
    if (!has_fresh)
        return;
    struct slot like = *s;
    like.effect = now;
    int slot = free_slot();
    forget(slot);
    fill(slot, fresh, &like);
}

static enum err_code send_token(const char *token, int bearer)
{
    char body[200];
    as(bearer);
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", token);
    return op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL);
}

static struct slot *any_slot(void)
{
    struct slot *s = &g_slots[simulation_draw(SLOTS)];
    for (int i = 0; i < 8 && (!s->used || (!waits(s) && simulation_draw(3))); i++)
        s = &g_slots[simulation_draw(SLOTS)];
    return s->used ? s : NULL;
}

static void apply(void)
{
    struct slot *s = any_slot();
    if (!s)
        return;
    char token[100];
    str_print(token, sizeof token, "%s", s->token);
    int other = (s->bearer + 1 + (int)simulation_draw(BEARERS - 1)) % BEARERS, bearer = s->bearer;
    if (simulation_draw(6) == 0)
        expect_code("another bearer", send_token(token, other), ERR_NOT_FOUND);
    bool held = waits(s);
    enum err_code code = send_token(token, bearer);
    if (held)
        settle(s, code);
    else
        expect_code("a token that is used or void", code, ERR_NOT_FOUND);
    expect_code("a second time", send_token(token, bearer), ERR_NOT_FOUND);
}

/* In one turn: one of them has it. */
static void apply_twice(void)
{
    struct slot *s = any_slot();
    struct effect now;
    if (!s || !waits(s) || !applicable(s, &now))
        return;
    char body[200];
    enum { AT_ONCE = 4 };
    struct engine_answer answers[AT_ONCE];
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", s->token);
    struct wire_call call = call_of(s->bearer, WIRE_OP_APPLY, body);
    uint64_t first = engine_queue(&f.engine, &call);
    for (int i = 1; i < AT_ONCE; i++)
        (void)engine_queue(&f.engine, &call);
    engine_exchange(&f.engine, first, AT_ONCE, answers);
    int done = 0, gone = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        done += answers[i].head.code == ERR_OK;
        gone += answers[i].head.code == ERR_NOT_FOUND;
    }
    arena_release(&f.engine.arena);
    if (done != 1 || gone != AT_ONCE - 1)
        fail_msg("of %d callers %d applied it, and %d were told that it is gone", AT_ONCE, done, gone);
    applied(s);
}

static void withdraw(void)
{
    struct slot *s = any_slot();
    if (!s)
        return;
    const struct op_arg args[] = {{"id", s->id}, {NULL, NULL}};
    int other = s->bearer == 0 ? 1 : 0; /* who is no admin */
    as(other);
    expect_code("withdrawn by another", op_fixture_run(&f, WIRE_OP_PROPOSAL_WITHDRAW, STR_EMPTY, args),
        ERR_NOT_FOUND);
    as(s->bearer);
    enum err_code code = op_fixture_run(&f, WIRE_OP_PROPOSAL_WITHDRAW, STR_EMPTY, args);
    expect_code("withdrawn", code, waits(s) ? ERR_OK : ERR_CONFLICT);
    if (waits(s))
        s->state = WITHDRAWN;
}

static void write_beside(void)
{
    char sql[200], body[300];
    struct write w = simulation_write();
    struct effect e = effect_of(&g_table, &w);
    write_sql(&w, sql);
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    as((int)simulation_draw(BEARERS));
    expect_code(sql, op_fixture_run(&f, WIRE_OP_QUERY, str_of(body), NULL), e.fails ? ERR_SQL : ERR_OK);
    if (!e.fails)
        commit(&e);
}

static void take_back(void)
{
    struct slot *s = any_slot();
    if (!s)
        return;
    const struct op_arg args[] = {{"id", s->id}, {NULL, NULL}};
    struct slot undo = {.bearer = simulation_draw(3) ? s->bearer : ADMIN, .undo_of = (int)(s - g_slots)};
    undo.effect = effect_inverse(&s->effect);
    bool as_left = s->state == APPLIED && stands(undo.undo_of) && effect_fits(&undo.effect, &g_table);
    as(undo.bearer);
    enum err_code code = op_fixture_run(&f, WIRE_OP_PROPOSAL_UNDO, STR_EMPTY, args);
    expect_code("undo", code, as_left ? ERR_OK : ERR_CONFLICT);
    if (code) {
        g_seen.refused++;
        return;
    }
    int slot = free_slot();
    if (slot == undo.undo_of)
        return; /* it would take the place of what it takes back: left to expire */
    forget(slot);
    if (g_slots[undo.undo_of].used)
        fill(slot, op_fixture_json(&f), &undo);
}

/* One rule at a time, which allows everything; what counts is what it says. */
static void change_rules(void)
{
    as(ADMIN);
    if (g_rules) {
        const struct op_arg args[] = {{"id", g_rule_id}, {NULL, NULL}};
        op_fixture_ok(&f, WIRE_OP_RULE_DROP, STR_EMPTY, args);
        g_rules = 0;
    } else {
        g_rules = 1 + (int)simulation_draw(2);
        op_fixture_ok(&f, WIRE_OP_RULE_SET,
            g_rules == 1 ? S("{\"tableGlob\":\"t\",\"action\":\"allow\"}")
                         : S("{\"tableGlob\":\"t*\",\"action\":\"allow\"}"),
            NULL);
        str_print(g_rule_id, sizeof g_rule_id, "%s", op_json_text(op_fixture_json(&f), "id"));
    }
}

/* Only steps of the clock make time pass: what really passed is given back, long before it is half a tick,
 * which is how far from a step proposals expire. */
static void stop_clock(void)
{
    static int64_t last_ms;
    char sql[200];
    int64_t now = clock_wall_ms(), passed = last_ms ? now - last_ms : 0;
    last_ms = now;
    str_print(sql, sizeof sql,
        "UPDATE _sys_proposal SET expires_at_ms = expires_at_ms + %lld WHERE decided_at_ms IS NULL",
        (long long)passed);
    op_fixture_sql(&f, sql);
}

/* Times of day are the engine's own: what is stored goes back instead. */
static void step_clock(void)
{
    char sql[300];
    int64_t by_ms = TICK_MS * (int64_t)(simulation_draw(8) ? simulation_draw(3) : simulation_draw(30));
    str_print(sql, sizeof sql,
        "UPDATE _sys_proposal SET created_at_ms = created_at_ms - %lld, expires_at_ms = expires_at_ms - %lld",
        (long long)by_ms, (long long)by_ms); /* what was decided would be forgotten after days of that */
    op_fixture_sql(&f, sql);
    for (int i = 0; i < SLOTS; i++) {
        g_slots[i].left_ms -= by_ms;
        if (waits(&g_slots[i]) && g_slots[i].left_ms <= 0) {
            g_slots[i].state = EXPIRED;
            g_seen.expired++;
        }
    }
}

/* --- Looking --- */

static void state_in_file(const struct slot *s, char out[20])
{
    sqlite3_stmt *stmt;
    out[0] = '\0';
    assert_int_equal(
        sqlite3_prepare_v2(f.db,
            "SELECT CASE WHEN decided_at_ms IS NULL AND expires_at_ms <= unixepoch('subsec') * 1000"
            " THEN 'expired' ELSE state END FROM _sys_proposal WHERE id = ?1",
            -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_bind_text(stmt, 1, s->id, -1, SQLITE_STATIC), SQLITE_OK);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        str_print(out, 20, "%s", (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
}

static void look(void)
{
    char state[20];
    g_seen.looks++;
    simulation_expect_table(f.db, &g_table);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &g_slots[i];
        if (!s->used)
            continue;
        state_in_file(s, state);
        bool warned = s->state == PENDING && strcmp(state, "stale") == 0;
        g_seen.warned += warned && !s->may_be_stale;
        if (strcmp(state, STATES[s->state]) != 0 && !warned)
            fail_msg("proposal %d: want %s, is %s", i, STATES[s->state], state);
    }
}

/* Sends it to an engine that dies at a random write or fsync of its own, if it comes so far. *ret_answer is
 * whether it answered. */
static enum err_code send_dying(const struct wire_call *call, bool *ret_answered)
{
    struct engine_answer answer = {.bounced = false};
    faultplan_arm(g_plan, simulation_draw(3) ? FAULT_AT_WRITE : FAULT_AT_SYNC, 1 + simulation_draw(6),
        FAULT_DIE, false);
    (void)engine_queue(&f.engine, call);
    *ret_answered = engine_try_send_all(&f.engine) && engine_try_receive(&f.engine, &answer);
    faultplan_off(g_plan);
    enum err_code code = (enum err_code)answer.head.code;
    g_seen.crashes += !*ret_answered;
    op_fixture_again(&f);
    return code;
}

/* It was done or not; what is told afterwards is what is there. */
static void crash_applying(void)
{
    char body[200], state[20];
    struct slot *s = any_slot();
    struct effect now;
    bool answered;
    if (!s || !waits(s))
        return;
    bool want = applicable(s, &now);
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", s->token);
    struct wire_call call = call_of(s->bearer, WIRE_OP_APPLY, body);
    enum err_code code = send_dying(&call, &answered);
    if (answered)
        expect_code("apply", code, want ? ERR_OK : ERR_CONFLICT);
    state_in_file(s, state);
    bool done = strcmp(state, want ? "applied" : "drifted") == 0;
    if (answered && !done)
        fail_msg("answered, and then the proposal was %s", state);
    if (done && want)
        applied(s);
    else if (done)
        s->state = DRIFTED; /* nobody was told of the fresh one */
}

static void crash_writing(void)
{
    char sql[200], body[300];
    bool answered;
    struct write w = simulation_write();
    struct effect e = effect_of(&g_table, &w);
    write_sql(&w, sql);
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    struct wire_call call = call_of((int)simulation_draw(BEARERS), WIRE_OP_QUERY, body);
    enum err_code code = send_dying(&call, &answered);
    if (answered)
        expect_code(sql, code, e.fails ? ERR_SQL : ERR_OK);
    struct table now = simulation_read_table(f.db);
    bool done = e.changed && !e.fails;
    for (int i = 0; i < ROWS; i++)
        done &= !(e.changed & 1u << i) || cell_eq(&now.row[i], &e.after.row[i]);
    if (answered ? !e.fails : done)
        commit(&e);
}

static void crash(void)
{
    if (simulation_draw(2))
        crash_applying();
    else
        crash_writing();
    look();
}

/* --- A run --- */

int setup_simulation(void **state)
{
    (void)state;
    g_plan = faultplan_new();
    op_fixture_init_planned(&f, g_plan);
    return 0;
}

int teardown_simulation(void **state)
{
    (void)state;
    op_fixture_release(&f);
    faultplan_free(g_plan);
    return 0;
}

static void begin(void)
{
    simulation_make_table(f.db, &g_table);
    for (int i = 0; i < SLOTS; i++)
        g_slots[i] = (struct slot){.undo_of = -1};
}

static void one_step(void)
{
    unsigned dice = simulation_draw(100);
    if (simulation_draw(CRASH_IN) == 0)
        crash();
    else if (dice < 30)
        propose();
    else if (dice < 58)
        apply();
    else if (dice < 63)
        apply_twice();
    else if (dice < 68)
        withdraw();
    else if (dice < 80)
        write_beside();
    else if (dice < 96)
        take_back();
    else if (dice < 98)
        change_rules();
    else
        step_clock();
}

/* What is in no slot any more goes, as it does after its time: also what was never decided, or a long run
 * would spend its time on rows that the model has forgotten. */
static void tidy(void)
{
    static const char *const PARTS[] = {"_sys_proposal_part", "_sys_proposal_row", "_sys_proposal_table"};
    struct strbuf ids;
    strbuf_init(&ids, 1 << 16);
    strbuf_add_cstr(&ids, "DELETE FROM _sys_proposal WHERE id NOT IN (''");
    for (int i = 0; i < SLOTS; i++) {
        if (g_slots[i].used)
            strbuf_addf(&ids, ", '%s'", g_slots[i].id);
    }
    strbuf_add_cstr(&ids, ")");
    for (size_t i = 0; i < ARRAY_LEN(PARTS); i++)
        strbuf_addf(&ids, "; DELETE FROM %s WHERE proposal NOT IN (SELECT seq FROM _sys_proposal)", PARTS[i]);
    op_fixture_sql(&f, strbuf_cstr(&ids));
    strbuf_release(&ids);
}

void test_simulation__proposals(void **state)
{
    uint64_t steps = simulation_begin(STEPS);
    (void)state;
    begin();
    for (uint64_t i = 0; i < steps; i++) {
        one_step();
        if (i % CHECK_EVERY == 0) {
            look();
            stop_clock();
        }
        if (i % 1000 == 999)
            tidy();
    }
    look();
    printf("%u applied (%u undone), %u drifted, %u undos refused, %u expired, %u crashes\n", g_seen.applied,
        g_seen.undone, g_seen.drifted, g_seen.refused, g_seen.expired, g_seen.crashes);
    assert_true(
        g_seen.warned < g_seen.looks); /* a statement that was prepared before anybody looked warns all */
    assert_true(g_seen.applied > steps / 50 && g_seen.drifted > steps / 100 &&
                (steps < 10000 || g_seen.undone > steps / 3000));
}
