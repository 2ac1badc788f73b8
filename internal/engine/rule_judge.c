/* Which rules decide about a write. */
#include "base/strbuf.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "engine/rule_touched.h"
#include "engine/rule.h"

enum { HITS_BYTES_MAX = 1 << 20 };

struct hit {
    struct hit *next;
    const struct rule *rule;
    const struct touched *table; /* NULL: the whole write */
    enum rule_action action;     /* of a rule whose `when` could not be evaluated it may be stricter */
};

struct judging {
    struct op *op;
    struct rehearsal *r;
    const struct rule *rules;
    struct hit *hits;
};

/* --- Which ones --- */

static bool names_table(const struct rule *rule, const struct touched *t)
{
    return !rule->table_glob.ptr || (t && rule_glob_matches(rule->table_glob, t->name));
}

static void add_hit(struct judging *j, const struct rule *rule, const struct touched *t)
{
    const struct touched *about = rule->table_glob.ptr ? t : NULL;
    struct hit **at = &j->hits;
    for (const struct hit *h = j->hits; h; h = h->next) {
        if (h->rule == rule && h->table == about)
            return;
    }
    while (*at && (*at)->action >= rule->action)
        at = &(*at)->next;
    struct hit *hit = arena_alloc(j->op->arena, sizeof *hit);
    if (!hit)
        return; /* judging asks the arena */
    *hit = (struct hit){.next = *at, .rule = rule, .table = about, .action = rule->action};
    *at = hit;
}

/* `t` NULL: of a write that touches nothing that has a name. */
static void decide(struct judging *j, const struct touched *t)
{
    for (const struct rule *rule = j->rules; rule; rule = rule->next) {
        if (!names_table(rule, t))
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
        v->wants_reason |= h->action == RULE_REQUIRE_REASON && !in->reason.ptr;
        if (h->action > v->action)
            v->action = h->action;
        if (h->action == RULE_REQUIRE_APPROVAL)
            verdict_add(v, h->rule->approvals, h->rule->approver_role);
    }
    if (v->action == RULE_REQUIRE_REASON && !v->wants_reason)
        v->action = RULE_ALLOW;
}

enum err_code rules_judge(
    struct op *op, struct rehearsal *r, const struct proposing *in, struct verdict *ret, struct err *err)
{
    struct judging j = {.op = op, .r = r};
    struct touched *tables;
    enum err_code code = rules_load(op, &j.rules, err);
    if (!code)
        code = touched_by(r, &tables, err);
    for (const struct touched *t = code ? NULL : tables; t; t = t->next)
        decide(&j, t);
    if (!code && !tables)
        decide(&j, NULL);
    if (!code && arena_failed(op->arena))
        code = err_set(err, ERR_TOO_LARGE, "the write touches too many tables");
    if (code)
        return code;
    sum_up(&j, in, ret);
    if (ret->approver_role.ptr)
        ret->approver_role = arena_copy(op->arena, ret->approver_role);
    return write_hits(&j, ret, err);
}
