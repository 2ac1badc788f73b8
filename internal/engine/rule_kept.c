/* Rules that people keep (rule.h: people_only): what tokens cannot do to them, or past them. */
#include "engine/rule.h"

bool rules_of_person(const struct op *op)
{
    return str_starts(op->call.token_id, S("ses_"));
}

bool rule_says_the_same(const struct rule *a, const struct rule *b)
{
    const struct str mine[] = {a->table_glob, a->condition, a->approver_role, a->note};
    const struct str other[] = {b->table_glob, b->condition, b->approver_role, b->note};
    bool same = a->action == b->action && a->approvals == b->approvals && a->people_only == b->people_only;
    for (size_t i = 0; i < ARRAY_LEN(mine); i++)
        same &= mine[i].ptr && other[i].ptr ? str_eq(mine[i], other[i]) : mine[i].ptr == other[i].ptr;
    return same;
}

enum err_code rules_remember(struct op *op, struct rule **ret, struct err *err)
{
    struct rule *r = NULL, **tail = ret;
    *ret = NULL;
    enum err_code code = rules_of_person(op) ? ERR_OK : rules_load(op, &r, err);
    for (r = code || rules_of_person(op) ? NULL : r; r && !code; r = r->next) {
        struct rule *copy = arena_alloc(op->arena, sizeof *copy);
        if (!copy)
            return err_set(err, ERR_TOO_LARGE, "the rules are too large");
        code = rule_get(op, r->id, copy, err);
        copy->next = NULL;
        *tail = copy;
        tail = &copy->next;
    }
    return code;
}

static const struct rule *find(const struct rule *list, const struct rule *end, struct str id)
{
    while (list && list != end && !str_eq(list->id, id))
        list = list->next;
    return list == end ? NULL : list;
}

static enum err_code refuse(const struct rule *kept, const char *what, struct err *err)
{
    return err_set(err, ERR_FORBIDDEN,
        "The rule " STR_FMT " (%s " STR_FMT
        ") is kept by people: a token cannot %s. An admin who signed in and "
        "gave the password can, and lets tokens do it with \"peopleOnly\": false. Nothing was changed",
        STR_ARG(kept->id), rule_action_name(kept->action),
        STR_ARG(kept->table_glob.ptr ? kept->table_glob : S("*")), what);
}

/* What stands before it decides in its place, which does no harm when that denies, and was known when it
 * stood there already. */
static enum err_code check_one(
    const struct rule *before, const struct rule *kept, const struct rule *after, struct err *err)
{
    const struct rule *now = find(after, NULL, kept->id);
    if (!now)
        return refuse(kept, "remove it", err);
    if (!rule_says_the_same(kept, now))
        return refuse(kept, "change it", err);
    for (const struct rule *r = after; r != now; r = r->next) {
        const struct rule *was = find(before, kept, r->id);
        if (r->action != RULE_DENY && !(was && rule_says_the_same(was, r)))
            return refuse(kept, "put a rule before it, or change one there, unless that denies", err);
    }
    return ERR_OK;
}

enum err_code rules_check_kept(struct op *op, const struct rule *before, struct err *err)
{
    struct rule *after = NULL;
    enum err_code code = rules_of_person(op) ? ERR_OK : rules_load(op, &after, err);
    for (const struct rule *r = before; r && !code; r = r->next)
        code = r->people_only ? check_one(before, r, after, err) : ERR_OK;
    rules_forget(op->eng); /* what was looked at is not committed yet */
    return code;
}

/* --- Restores --- */

/* A restore is no write that could be rehearsed: it is judged by what it surely does, which is anything. */
static bool speaks_of_restores(const struct rule *r)
{
    bool of_all = !r->condition.ptr && (!r->table_glob.ptr || str_eq(r->table_glob, S("*")));
    return r->action >= RULE_REQUIRE_APPROVAL && (r->people_only || of_all);
}

enum err_code rules_check_restore(struct op *op, struct err *err)
{
    struct rule *r = NULL;
    enum err_code code = rules_of_person(op) ? ERR_OK : rules_load(op, &r, err);
    while (r && !speaks_of_restores(r))
        r = r->next;
    if (code || !r)
        return code;
    return err_set(err, ERR_FORBIDDEN,
        "The rule " STR_FMT " (%s " STR_FMT ") stands, and a restore would pass it by: a token cannot do it. "
        "An admin who signed in can, with POST "
        "/api/namespaces/NS/databases/DB/restore. Nothing was changed",
        STR_ARG(r->id), rule_action_name(r->action), STR_ARG(r->table_glob.ptr ? r->table_glob : S("*")));
}
