/* See simulation.h. */
#include "lib/simulation.h"
#include "base/clock.h"
#include "lib/unit.h"
#include <stdio.h>
#include <stdlib.h>

/* --- Dice --- */

static uint64_t g_random;

static uint64_t number_of(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? (uint64_t)strtoull(text, NULL, 10) : fallback;
}

uint64_t simulation_begin(uint64_t steps)
{
    uint64_t seed = number_of("SEED", (uint64_t)clock_mono_us());
    steps = number_of("STEPS", steps);
    g_random = seed * 2654435761 + 88172645463325252;
    printf("simulation: SEED=%llu STEPS=%llu\n", (unsigned long long)seed, (unsigned long long)steps);
    (void)fflush(stdout);
    return steps;
}

unsigned simulation_draw(unsigned below)
{
    g_random ^= g_random << 13;
    g_random ^= g_random >> 7;
    g_random ^= g_random << 17;
    return (unsigned)(g_random >> 20) % below;
}

struct write simulation_write(void)
{
    struct write w = {.kind = (enum kind)simulation_draw(KINDS),
        .id = (int)simulation_draw(ROWS),
        .n = (int)simulation_draw(40)};
    w.to = w.id + (int)simulation_draw(3);
    return w;
}

/* --- The table --- */

static void run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", message, sql);
}

void simulation_make_table(sqlite3 *db, struct table *ret)
{
    run(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)");
    *ret = (struct table){.row = {{.there = false}}};
    for (int i = 0; i < ROWS; i += 2) {
        char sql[100];
        str_print(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d)", i, 10 * i);
        run(db, sql);
        ret->row[i] = (struct cell){true, 10 * i};
    }
}

struct table simulation_read_table(sqlite3 *db)
{
    sqlite3_stmt *stmt;
    struct table now = {.row = {{.there = false}}};
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT id, v FROM t", -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int id = sqlite3_column_int(stmt, 0);
        assert_in_range(id, 0, ROWS - 1);
        now.row[id] = (struct cell){true, sqlite3_column_int(stmt, 1)};
    }
    (void)sqlite3_finalize(stmt);
    return now;
}

void simulation_expect_table(sqlite3 *db, const struct table *want)
{
    struct table now = simulation_read_table(db);
    for (int i = 0; i < ROWS; i++) {
        if (!cell_eq(&now.row[i], &want->row[i]))
            fail_msg("row %d: want %d %d, is %d %d", i, want->row[i].there, want->row[i].v, now.row[i].there,
                now.row[i].v);
    }
}

/* --- People --- */

static void must(enum err_code code)
{
    assert_int_equal(code, ERR_OK);
}

void simulation_people(struct control_fixture *fx, struct arena *a, struct simulation_people *ret)
{
    static const enum member_role ROLES[SIMULATION_PEOPLE] = {
        MEMBER_ADMIN, MEMBER_ADMIN, MEMBER_OWNER, MEMBER_ADMIN, MEMBER_EDITOR};
    AUTO_SECRET secret = SECRET_INIT;
    must(registry_create(fx->db, &fx->disk, &TEST_ACTOR, &fx->tenant.id, S("main"), STR_EMPTY, S("auto"),
        &ret->database, NULL));
    must(tx_begin_write(fx->db, NULL));
    for (int i = 0; i < SIMULATION_PEOPLE; i++) {
        char email[40];
        str_print(email, sizeof email, "person%d@example.com", i);
        must(account_create(fx->db, &TEST_ACTOR, &(struct account_new){str_of(email), STR_EMPTY, "hash"},
            &ret->person[i], NULL));
        must(member_add(fx->db, &TEST_ACTOR, &fx->tenant.id, &ret->person[i].id, ROLES[i], NULL));
    }
    struct actor by = {.kind = ACTOR_USER, .user_id = ret->person[SIMULATION_REQUESTER].id};
    struct token_new in = {.namespace_id = fx->tenant.id, .name = S("agent"), .role = WIRE_ROLE_ADMIN};
    must(token_create(fx->db, &by, a, &in, &ret->token, &secret, NULL));
    must(tx_commit(fx->db, NULL));
}

bool simulation_end_tx(struct db *db, enum err_code code, unsigned *lost)
{
    bool kept = simulation_draw(8) != 0 && code == ERR_OK;
    *lost += !kept && code == ERR_OK;
    if (kept)
        must(tx_commit(db, NULL));
    else
        tx_rollback(db);
    return kept;
}

void simulation_expect(const char *what, enum err_code got, enum err_code want)
{
    if (got != want)
        fail_msg("%s: want %s, got %s", what, err_slug(want), err_slug(got));
}

int64_t simulation_count_audit(struct db *db, const char *action)
{
    AUTO_STMT st = DB_STMT_INIT;
    must(db_query_one(
        db, "SELECT count(*) FROM audit WHERE action = ?1", DB_ARGS(db_text(str_of(action))), &st, NULL));
    return db_col_int(&st, 0);
}
