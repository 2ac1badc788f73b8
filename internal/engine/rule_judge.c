/* Which rules decide about a write. */
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "engine/rule_when.h"
#include "engine/task.h"

enum { HITS_BYTES_MAX = 1 << 20 };

struct hit {
    struct hit *next;
    const struct rule *rule;
    const struct touched *table; /* NULL: the whole write */
    enum rule_action action;     /* of a rule whose `when` could not be evaluated: require_approval */
    struct str problem;          /* why it could not; "" it could */
};

struct judging {
    struct op *op;
    struct rule *rules;
    struct hit *hits;
    struct when_facts facts;
    struct when_known {
        enum when_answer answer;
        struct str problem;
    } * known; /* by rule->number */
};

/* --- Which ones --- */

static bool names_table(const struct rule *rule, const struct touched *t)
{
    return !rule->table_glob.ptr || (t && rule_glob_matches(rule->table_glob, t->name));
}

/* Each condition is asked once. */
static bool is_true(struct judging *j, struct rule *rule)
{
    struct when_known *k = &j->known[rule->number];
    if (!rule->condition.ptr)
        return true;
    if (k->answer == WHEN_UNKNOWN)
        k->answer = when_ask(rule, &j->facts, &k->problem);
    return k->answer != WHEN_FALSE;
}

static void add_hit(struct judging *j, const struct rule *rule, const struct touched *t)
{
    const struct touched *about = rule->table_glob.ptr ? t : NULL;
    const struct when_known *k = &j->known[rule->number];
    enum rule_action action = k->answer == WHEN_FAILED ? RULE_REQUIRE_APPROVAL : rule->action;
    struct hit **at = &j->hits;
    for (const struct hit *h = j->hits; h; h = h->next) {
        if (h->rule == rule && h->table == about)
            return;
    }
    while (*at && (*at)->action >= action)
        at = &(*at)->next;
    struct hit *hit = arena_alloc(j->op->arena, sizeof *hit);
    if (!hit)
        return; /* judging asks the arena */
    *hit = (struct hit){.next = *at, .rule = rule, .table = about, .action = action, .problem = k->problem};
    *at = hit;
}

/* `t` NULL: of a write that touches nothing that has a name. */
static void decide(struct judging *j, const struct touched *t)
{
    for (struct rule *rule = j->rules; rule; rule = rule->next) {
        if (!names_table(rule, t) || !is_true(j, rule))
            continue;
        add_hit(j, rule, t);
        return;
    }
}

/* --- What follows --- */

static void write_hit(struct jsonw *w, const struct hit *h)
{
    const struct rule *r = h->rule;
    jsonw_object(w);
    JSONW_TEXT(w, "ruleId", r->id);
    JSONW_TEXT_OR_NULL(w, "tableGlob", r->table_glob);
    JSONW_TEXT_OR_NULL(w, "when", r->condition);
    JSONW_CSTR(w, "action", rule_action_name(h->action));
    JSONW_TEXT_OR_NULL(w, "matchedTable", h->table ? h->table->name : ((struct str){NULL, 0}));
    JSONW_BOOL(w, "indirect", h->table && h->table->indirect);
    JSONW_TEXT_OR_NULL(w, "note", r->note);
    if (h->action == RULE_REQUIRE_APPROVAL) {
        JSONW_INT(w, "approvals", r->approvals);
        JSONW_TEXT_OR_NULL(w, "approverRole", r->approver_role);
    }
    if (h->problem.len)
        JSONW_TEXT(w, "problem", h->problem);
    jsonw_object_end(w);
}

static enum err_code write_hits(struct judging *j, struct verdict *v, struct err *err)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, HITS_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_array(&w);
    for (const struct hit *h = j->hits; h; h = h->next)
        write_hit(&w, h);
    jsonw_array_end(&w);
    v->hits = strbuf_failed(&out) ? (struct str){NULL, 0} : arena_copy(j->op->arena, strbuf_str(&out));
    return v->hits.ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the write meets too many rules");
}

static void sum_up(const struct judging *j, const struct proposing *in, struct verdict *v)
{
    *v = (struct verdict){.action = RULE_ALLOW, .approver_role = {NULL, 0}};
    for (const struct hit *h = j->hits; h; h = h->next) {
        v->wants_reason |= h->action == RULE_REQUIRE_REASON && !rules_reason_given(in->reason);
        if (h->action > v->action)
            v->action = h->action;
        if (h->action == RULE_REQUIRE_APPROVAL)
            verdict_add(v, h->rule->approvals, h->rule->approver_role);
    }
    if (v->action == RULE_REQUIRE_REASON && !v->wants_reason)
        v->action = RULE_ALLOW;
}

static size_t count_of(const struct rule *rule)
{
    size_t n = 0;
    for (; rule; rule = rule->next)
        n++;
    return n;
}

static enum err_code decide_all(struct judging *j, struct rehearsal *r, struct err *err)
{
    struct touched *tables;
    enum err_code code = touched_by(r, &tables, err);
    if (code)
        return code;
    j->facts.tables = tables;
    j->known = arena_alloc(j->op->arena, (count_of(j->rules) + 1) * sizeof j->known[0]);
    for (const struct touched *t = tables; t && j->known; t = t->next)
        decide(j, t);
    if (!tables && j->known)
        decide(j, NULL);
    if (arena_failed(j->op->arena))
        return err_set(err, ERR_TOO_LARGE, "the write touches too many tables");
    return op_check_time(j->op, err); /* a condition that the deadline stopped decides nothing */
}

enum err_code rules_judge(
    struct op *op, struct rehearsal *r, const struct proposing *in, struct verdict *ret, struct err *err)
{
    struct judging j = {.op = op, .facts = {.op = op, .r = r, .in = in}};
    enum err_code code = rules_load(op, &j.rules, err);
    if (!code)
        code = decide_all(&j, r, err);
    if (code)
        return code;
    sum_up(&j, in, ret);
    if (ret->approver_role.ptr)
        ret->approver_role = arena_copy(op->arena, ret->approver_role);
    return write_hits(&j, ret, err);
}

/* --- What is gone afterwards --- */

static enum err_code count_lost(struct op *op, struct rehearsal *r, struct str table, struct err *err)
{
    int64_t rows = 0;
    struct err ignored = ERR_INIT;
    for (const struct schema_rows *s = r->removed; s; s = s->next) {
        if (str_eq_nocase(s->table, table))
            return ERR_OK;
    }
    if (!table.ptr || schema_count_rows(op, table, &rows, &ignored)) { /* running the statement tells why */
        op->error_detail = STR_EMPTY;
        return op_check_time(op, err);
    }
    struct schema_rows *s = ARENA_NEW(op->arena, struct schema_rows);
    *s = (struct schema_rows){.next = r->removed, .table = table, .rows = rows};
    r->removed = s;
    return ERR_OK;
}

enum err_code rules_prepare(struct op *op, struct rehearsal *r, struct err *err)
{
    struct rule *rule;
    struct schema_deed deed;
    enum err_code code = rules_load(op, &rule, err);
    while (rule && !rule->condition.ptr)
        rule = rule->next;
    for (size_t i = 0; rule && !code && i < exec_count(task_of(op)); i++) {
        if (schema_deed_read(op->arena, exec_sql(task_of(op), i), &deed) && str_eq(deed.type, S("table")))
            code = count_lost(op, r, arena_copy(op->arena, deed.name), err);
    }
    return code;
}
