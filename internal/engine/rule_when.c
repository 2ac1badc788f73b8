/* Evaluating the conditions of rules. */
#include "engine/rule_when.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "engine/rowsec.h"

enum { PROGRESS_OPS = 1000, TEXT_MAX = 8 << 10 };

#define BEFORE "SELECT 1 WHERE (\n"
#define AFTER  "\n)"

static int authorize(
    void *arg, int action, const char *first, const char *second, const char *database, const char *accessor)
{
    static const char *const TABLES[] = {"changes", "effects", "caller", "json_each", "json_tree"};
    (void)arg;
    (void)database;
    (void)accessor;
    if (action == SQLITE_SELECT || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    if (action == SQLITE_FUNCTION)
        return guard_function_listed(second) ? SQLITE_OK : SQLITE_DENY;
    if (action != SQLITE_READ)
        return SQLITE_DENY;
    for (size_t i = 0; i < ARRAY_LEN(TABLES); i++) {
        if (str_eq_nocase(str_of(first), str_of(TABLES[i])))
            return SQLITE_OK;
    }
    /* Counting the rows of a common table expression reads a column without a name. */
    bool ours =
        str_starts_nocase(str_of(first), S("sqlite_")) || str_starts_nocase(str_of(first), S("pragma_"));
    return !second[0] && !ours ? SQLITE_OK : SQLITE_DENY;
}

static int on_progress(void *arg)
{
    const struct when *w = arg;
    return engine_stop_reason(w->eng) != STOP_NONE || clock_mono_us() > w->until_us;
}

static int set_up(struct when *w)
{
    struct err ignored = ERR_INIT;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(":memory:", &w->db, flags, VFS_NAME);
    if (rc == SQLITE_OK && engine_recipe(w->eng, w->db, &ignored))
        rc = SQLITE_ERROR;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(w->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = when_tables_register(w);
    if (rc == SQLITE_OK)
        rc = sqlite3_set_authorizer(w->db, authorize, NULL);
    sqlite3_progress_handler(w->db, PROGRESS_OPS, on_progress, w);
    return rc;
}

void when_release(struct engine *eng)
{
    if (!eng->when)
        return;
    (void)sqlite3_close(eng->when->db); /* rules_forget has given its statements back */
    mem_free(eng->when);
    eng->when = NULL;
}

static struct when *when_of(struct engine *eng)
{
    if (eng->when)
        return eng->when;
    eng->when = MEM_NEW(struct when);
    eng->when->eng = eng;
    if (set_up(eng->when) != SQLITE_OK)
        when_release(eng);
    return eng->when;
}

/* --- Preparing --- */

static struct str say(struct op *op, const char *message, int at)
{
    struct str s = at >= 0 ? arena_printf(op->arena, "%s, at position %d", message, at)
                           : arena_printf(op->arena, "%s", message);
    return s.ptr ? s : S("it cannot be read");
}

static struct str prepare(struct op *op, struct when *w, struct str condition, sqlite3_stmt **ret)
{
    AUTO_STRBUF sql;
    const char *problem = NULL, *tail = NULL;
    strbuf_init(&sql, TEXT_MAX);
    strbuf_add_cstr(&sql, BEFORE);
    if (!rowsec_translate(condition, &sql, &problem))
        return say(op, problem, -1);
    strbuf_add_cstr(&sql, AFTER);
    if (strbuf_failed(&sql))
        return say(op, "is too long", -1);
    w->until_us = INT64_MAX;
    w->facts = NULL;
    int rc =
        sqlite3_prepare_v3(w->db, strbuf_cstr(&sql), (int)sql.len, SQLITE_PREPARE_PERSISTENT, ret, &tail);
    if (rc != SQLITE_OK) {
        int at = sqlite3_error_offset(w->db);
        return say(op, sqlite3_errmsg(w->db), at < 0 ? at : at - (int)strlen(BEFORE));
    }
    if (sqlite3_bind_parameter_count(*ret) > 0 || tail != strbuf_cstr(&sql) + sql.len)
        return say(op, "must be one expression without parameters", -1);
    return STR_EMPTY;
}

struct str when_problem(struct op *op, struct str condition)
{
    AUTO_SQL *stmt = NULL;
    struct when *w = when_of(op->eng);
    return w ? prepare(op, w, condition, &stmt) : say(op, "out of memory", -1);
}

/* --- Asking --- */

static enum when_answer step(struct op *op, struct when *w, sqlite3_stmt *stmt, struct str *ret_problem)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_INTERRUPT)
        *ret_problem = S("it took too long");
    else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        *ret_problem = say(op, sqlite3_errmsg(w->db), -1);
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    return rc == SQLITE_ROW ? WHEN_TRUE : rc == SQLITE_DONE ? WHEN_FALSE : WHEN_FAILED;
}

enum when_answer when_ask(struct rule *rule, struct when_facts *facts, struct str *ret_problem)
{
    struct op *op = facts->op;
    struct when *w = when_of(op->eng);
    if (!w) {
        *ret_problem = S("out of memory");
        return WHEN_FAILED;
    }
    *ret_problem = rule->compiled ? STR_EMPTY : prepare(op, w, rule->condition, &rule->compiled);
    if (ret_problem->len)
        return WHEN_FAILED;
    facts->condition = rule->condition;
    w->facts = facts;
    w->until_us = clock_mono_us() + LIMIT_RULE_WHEN_MS * 1000;
    enum when_answer answer = step(op, w, rule->compiled, ret_problem);
    w->facts = NULL;
    return answer;
}
