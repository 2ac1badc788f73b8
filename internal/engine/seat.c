/* The engine's second connection, for calls under policies. What belongs to a connection (handle, guard,
 * cached and own statements) changes places with what the engine usually has, so that everything else works
 * on whichever is seated. Never inside a transaction. One writer at a time: the other lets go of its locks
 * first. */
#include "base/check.h"
#include "base/mem.h"
#include "engine/proposal.h"
#include "engine/rowsec.h"
#include "engine/rule.h"
#include "engine/schema_state.h"
#include "engine/task.h"

struct seat {
    sqlite3 *db; /* NULL: not open */
    struct guard guard;
    struct cache cache;
    struct own own;
    struct rowsec rowsec; /* of the one under policies */
    struct seat *other;   /* of those that are laid aside: the one under policies */
};

/* The head of the list moved. */
static void moved(struct list *head, const struct list *was)
{
    if (head->next == was) {
        list_init(head);
    } else if (head->next) {
        head->next->prev = head;
        head->prev->next = head;
    }
}

static void change_places(struct engine *eng)
{
    struct seat *s = eng->seat;
    struct seat now = {.db = eng->db, .guard = eng->guard, .cache = eng->cache, .own = eng->own};
    if (eng->db) {
        CHECK(sqlite3_get_autocommit(eng->db));
        (void)sqlite3_file_control(eng->db, "main", VFS_LET_GO, NULL); /* a file in memory has no locks */
    }
    eng->db = s->db;
    eng->guard = s->guard;
    eng->cache = s->cache;
    eng->own = s->own;
    s->db = now.db;
    s->guard = now.guard;
    s->cache = now.cache;
    s->own = now.own;
    moved(&eng->cache.lru, &s->cache.lru);
    moved(&s->cache.lru, &eng->cache.lru);
    eng->under_policies = !eng->under_policies;
    if (eng->db)
        engine_begin_pace(eng); /* the pace was that of the other's statements */
}

/* The seated connection, which is the one under policies. */
static void close_seated(struct engine *eng)
{
    cache_release(eng);
    own_release(eng);
    rowsec_release(&eng->seat->rowsec);
    guard_release(&eng->guard);
    int rc = sqlite3_close(eng->db);
    CHECK(rc == SQLITE_OK); /* SQLITE_BUSY: a statement was forgotten */
    eng->db = NULL;
}

static enum err_code open_seated(struct engine *eng, struct err *err)
{
    struct rowsec *rs = &eng->seat->rowsec;
    cache_init(&eng->cache);
    eng->own = (struct own){{NULL}};
    *rs = (struct rowsec){.role = 0};
    arena_init(&rs->arena, 1);
    enum err_code code = engine_connect(eng, err);
    if (!code && querylog_vtab_register(eng) != SQLITE_OK)
        code = err_set(err, ERR_UNAVAILABLE, "the query log cannot be set up");
    if (!code)
        code = rowsec_build(eng, rs, err);
    if (!code)
        code = engine_settle(eng, err);
    if (code)
        close_seated(eng);
    else
        engine_begin_pace(eng);
    return code;
}

/* Does a call that waits hold a statement of this seat? */
static bool is_held(const struct engine *eng)
{
    for (size_t i = 0; i < eng->task_count; i++) {
        if (eng->tasks[i]->under_policies && eng->tasks[i]->request)
            return true;
    }
    return false;
}

static enum err_code take_under_policies(struct engine *eng, struct err *err)
{
    if (!eng->seat)
        eng->seat = MEM_NEW(struct seat);
    if (!eng->under_policies)
        change_places(eng);
    if (eng->db && !eng->policies_current && !rowsec_is_current(eng, &eng->seat->rowsec)) {
        if (is_held(eng))
            return err_retry(
                err, ERR_BUSY, 1, "the policies or the schema changed while the call waited; try again");
        close_seated(eng);
    }
    enum err_code code = eng->db ? ERR_OK : open_seated(eng, err);
    eng->policies_current = code == ERR_OK;
    return code;
}

enum err_code seat_take(struct engine *eng, bool under_policies, struct err *err)
{
    enum err_code code = ERR_OK;
    if (under_policies)
        code = take_under_policies(eng, err);
    else if (eng->under_policies)
        change_places(eng);
    if (code && eng->under_policies)
        change_places(eng);
    return code;
}

void seat_close(struct engine *eng)
{
    if (!eng->seat)
        return;
    if (!eng->under_policies)
        change_places(eng);
    if (eng->db)
        close_seated(eng);
    change_places(eng);
    mem_free(eng->seat);
    eng->seat = NULL;
}

bool seat_is_aside(const struct engine *eng)
{
    return eng->aside != NULL;
}

static void put_down(struct engine *eng)
{
    struct seat *s = eng->aside = MEM_NEW(struct seat);
    CHECK(!eng->under_policies && sqlite3_get_autocommit(eng->db));
    *s = (struct seat){
        .db = eng->db, .guard = eng->guard, .cache = eng->cache, .own = eng->own, .other = eng->seat};
    moved(&s->cache.lru, &eng->cache.lru);
    cache_init(&eng->cache);
    eng->own = (struct own){{NULL}};
    eng->db = NULL;
    eng->seat = NULL;
}

enum err_code seat_lay_aside(struct engine *eng, enum seat_aside which, struct err *err)
{
    CHECK(!eng->aside && which != SEAT_USUAL);
    schema_digest_forget(eng);
    put_down(eng);
    eng->opens = which;
    enum err_code code = engine_connect(eng, err);
    if (!code && querylog_vtab_register(eng) != SQLITE_OK)
        code = err_set(err, ERR_UNAVAILABLE, "the query log cannot be set up");
    if (code)
        seat_take_up(eng);
    else
        engine_begin_pace(eng);
    return code;
}

void seat_take_up(struct engine *eng)
{
    struct seat *s = eng->aside;
    CHECK(s != NULL);
    proposals_release(eng);
    cache_release(eng);
    own_release(eng);
    guard_release(&eng->guard);
    int rc = sqlite3_close(eng->db);
    CHECK(rc == SQLITE_OK); /* SQLITE_BUSY: a statement was forgotten */
    eng->db = s->db;
    eng->guard = s->guard;
    eng->cache = s->cache;
    eng->own = s->own;
    eng->seat = s->other;
    moved(&eng->cache.lru, &s->cache.lru);
    eng->aside = NULL;
    eng->opens = SEAT_USUAL;
    mem_free(s);
    rules_forget(eng);
    schema_digest_forget(eng);
    engine_begin_pace(eng);
}
