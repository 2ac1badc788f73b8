/* What is told of the rules that decided. */
#include "base/strbuf.h"
#include "base/visible.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/rule.h"
#include "json/jsonr.h"

enum { HITS_BYTES_MAX = 1 << 20 };

static struct str text_of(const struct jsonr_value *hit, const char *name)
{
    const struct jsonr_value *v = jsonr_member(hit, str_of(name));
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : (struct str){NULL, 0};
}

/* Stricter is who may do more; where no role is named the server's default stands, which lies below the
 * owner. */
static size_t rank_of(struct str role)
{
    static const char *const ROLES[] = {
#define ROLE(name, spelling, engine_role, text) spelling,
#include "roles.def"
    };
    size_t i = ARRAY_LEN(ROLES);
    while (role.ptr && i > 0 && !str_eq(role, str_of(ROLES[i - 1])))
        i--;
    return role.ptr ? i : ARRAY_LEN(ROLES) - 1;
}

void verdict_add(struct verdict *v, int64_t approvals, struct str approver_role)
{
    if (v->approvals == 0 || rank_of(approver_role) > rank_of(v->approver_role))
        v->approver_role = approver_role;
    if (approvals > v->approvals)
        v->approvals = approvals;
}

void rules_read_terms(const struct jsonr_value *hits, struct verdict *ret)
{
    ret->approvals = 0;
    ret->approver_role = (struct str){NULL, 0};
    for (const struct jsonr_value *hit = jsonr_first(hits); hit; hit = jsonr_next(hit)) {
        const struct jsonr_value *approvals = jsonr_member(hit, S("approvals"));
        if (approvals && jsonr_kind(approvals) == JSONR_INT)
            verdict_add(ret, jsonr_int(approvals), text_of(hit, "approverRole"));
    }
}

/* A table outside of the caller's scope is not named, nor is what triggers did to whoever stands under
 * policies; and a condition may name any table. The note is written for those whom it stops. */
struct seen {
    bool table, condition;
};

static struct seen seen_by(const struct op *op, const struct jsonr_value *hit)
{
    const struct jsonr_value *indirect = jsonr_member(hit, S("indirect"));
    struct str table = text_of(hit, "matchedTable");
    bool by_others = indirect && jsonr_kind(indirect) == JSONR_BOOL && jsonr_bool(indirect);
    struct seen s = {.condition = !op->call.has_table_scope};
    s.table = !table.ptr || (op_table_visible(op, table) && !(by_others && op->eng->guard.rowsec));
    return s;
}

static void write_hit(struct op *op, struct jsonw *w, const struct jsonr_value *hit)
{
    static const struct str NONE = {NULL, 0};
    struct seen seen = seen_by(op, hit);
    const struct jsonr_value *approvals = jsonr_member(hit, S("approvals"));
    jsonw_object(w);
    JSONW_TEXT_OR_NULL(w, "ruleId", text_of(hit, "ruleId"));
    JSONW_TEXT_OR_NULL(w, "tableGlob", seen.table ? text_of(hit, "tableGlob") : NONE);
    JSONW_TEXT_OR_NULL(w, "when", seen.condition ? text_of(hit, "when") : NONE);
    JSONW_TEXT_OR_NULL(w, "action", text_of(hit, "action"));
    JSONW_TEXT_OR_NULL(w, "matchedTable", seen.table ? text_of(hit, "matchedTable") : NONE);
    JSONW_TEXT_OR_NULL(w, "note", text_of(hit, "note"));
    if (approvals && jsonr_kind(approvals) == JSONR_INT) {
        JSONW_INT(w, "approvals", jsonr_int(approvals));
        JSONW_TEXT_OR_NULL(w, "approverRole", text_of(hit, "approverRole"));
    }
    if (text_of(hit, "problem").ptr)
        JSONW_TEXT_OR_NULL(w, "problem", seen.condition ? text_of(hit, "problem") : NONE);
    jsonw_object_end(w);
}

static bool allows(const struct jsonr_value *hit)
{
    struct str action = text_of(hit, "action");
    return action.ptr && str_eq(action, str_of(rule_action_name(RULE_ALLOW)));
}

void rules_write_hits(struct op *op, struct jsonw *w, struct str hits, bool all)
{
    const struct jsonr_value *list = NULL;
    if (jsonr_parse(op->arena, hits, &list, NULL) || jsonr_kind(list) != JSONR_ARRAY)
        list = NULL; /* what was stored is damaged: it is only shown */
    jsonw_array(w);
    for (const struct jsonr_value *hit = list ? jsonr_first(list) : NULL; hit; hit = jsonr_next(hit)) {
        if (jsonr_kind(hit) == JSONR_OBJECT && (all || !allows(hit)))
            write_hit(op, w, hit);
    }
    jsonw_array_end(w);
}

bool rules_reason_given(struct str reason)
{
    return reason.ptr && visible_at_all(reason);
}

const char *rules_decision(struct op *op, struct str hits, struct str reason)
{
    const struct jsonr_value *list = NULL;
    enum rule_action strictest = RULE_ALLOW, action;
    if (jsonr_parse(op->arena, hits, &list, NULL) || jsonr_kind(list) != JSONR_ARRAY)
        list = NULL;
    for (const struct jsonr_value *hit = list ? jsonr_first(list) : NULL; hit; hit = jsonr_next(hit)) {
        struct str name = jsonr_kind(hit) == JSONR_OBJECT ? text_of(hit, "action") : STR_EMPTY;
        if (name.ptr && rule_action_read(name, &action) && action > strictest)
            strictest = action;
    }
    if (strictest == RULE_REQUIRE_REASON && rules_reason_given(reason))
        strictest = RULE_ALLOW;
    return rule_action_name(strictest);
}

/* --- What may be met --- */

static bool meets(const struct op *op, const struct rule *r, const struct cat_table *t)
{
    return op_table_visible(op, t->name) && rule_glob_matches(r->table_glob, t->name);
}

static bool may_be_met(const struct op *op, const struct rule *r, const struct catalog *cat)
{
    bool any = !r->table_glob.ptr || !op->call.has_table_scope;
    for (const struct cat_table *t = cat->tables; t && !any; t = t->next)
        any = meets(op, r, t);
    return any;
}

static struct str condition_seen(const struct op *op, const struct rule *r)
{
    static const struct str NONE = {NULL, 0};
    return op->call.has_table_scope ? NONE : r->condition;
}

static void describe_one(struct op *op, struct jsonw *w, const struct rule *r, const struct catalog *cat)
{
    jsonw_object(w);
    JSONW_TEXT_OR_NULL(w, "tableGlob", r->table_glob);
    JSONW_TEXT_OR_NULL(w, "when", condition_seen(op, r));
    JSONW_CSTR(w, "action", rule_action_name(r->action));
    JSONW_TEXT_OR_NULL(w, "note", r->note);
    jsonw_key(w, "tables");
    jsonw_array(w);
    for (const struct cat_table *t = r->table_glob.ptr ? cat->tables : NULL; t; t = t->next) {
        if (meets(op, r, t))
            jsonw_text(w, t->name);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
}

static struct rule *rules_to_tell(struct op *op)
{
    struct rule *r;
    struct err ignored = ERR_INIT;
    if (rules_load(op, &r, &ignored))
        op->error_detail = STR_EMPTY; /* the schema is told all the same */
    return r;
}

void rules_describe(struct op *op, struct jsonw *w, const struct catalog *cat)
{
    jsonw_array(w);
    for (const struct rule *r = rules_to_tell(op); r; r = r->next) {
        if (may_be_met(op, r, cat))
            describe_one(op, w, r, cat);
    }
    jsonw_array_end(w);
}

/* What stands in a note must not break the line. */
static void add_on_line(struct strbuf *out, const char *before, struct str text)
{
    if (!text.ptr)
        return;
    strbuf_add_cstr(out, before);
    for (size_t i = 0; i < text.len; i++)
        strbuf_add_char(out, (unsigned char)text.ptr[i] < ' ' ? ' ' : text.ptr[i]);
}

static void describe_line(struct op *op, struct strbuf *out, const struct rule *r, const struct catalog *cat)
{
    const char *before = " (";
    strbuf_addf(out, "rule %s", rule_action_name(r->action));
    add_on_line(out, ": ", r->table_glob.ptr ? r->table_glob : S("any write"));
    for (const struct cat_table *t = r->table_glob.ptr ? cat->tables : NULL; t; t = t->next) {
        if (!meets(op, r, t) || str_eq_nocase(t->name, r->table_glob))
            continue;
        add_on_line(out, before, t->name);
        before = ", ";
    }
    if (before[0] == ',')
        strbuf_add_char(out, ')');
    add_on_line(out, " when ", condition_seen(op, r));
    if (r->condition.ptr && op->call.has_table_scope)
        strbuf_add_cstr(out, " under a condition");
    add_on_line(out, " -- ", r->note);
    strbuf_add_char(out, '\n');
}

void rules_describe_lines(struct op *op, struct strbuf *out, const struct catalog *cat)
{
    for (const struct rule *r = rules_to_tell(op); r; r = r->next) {
        if (may_be_met(op, r, cat))
            describe_line(op, out, r, cat);
    }
}

/* --- Refusals --- */

/* The first of them, which is the strictest, in the words that the caller may read. */
static void tell_what_would_pass(struct strbuf *out, struct str when, bool when_seen, struct str table)
{
    if (when.ptr && when_seen)
        strbuf_addf(out, "It would pass if this were not so: " STR_FMT, STR_ARG(when));
    else if (table.ptr)
        strbuf_addf(out, "It would pass without what changes \"" STR_FMT "\"", STR_ARG(table));
    else if (!when.ptr)
        strbuf_add_cstr(out, "It stands for every write, without a condition: none passes until an admin "
                             "changes or removes the rule, or gives it a \"tableGlob\" or a \"when\"");
    else
        strbuf_add_cstr(out, "Its condition is not shown to this token: an admin can tell what would pass");
}

static void tell_why(struct op *op, struct strbuf *out, const struct verdict *v, const char *verb)
{
    const struct jsonr_value *list;
    if (jsonr_parse(op->arena, v->hits, &list, NULL))
        return;
    for (const struct jsonr_value *hit = jsonr_first(list); hit; hit = jsonr_next(hit)) {
        struct seen seen = seen_by(op, hit);
        struct str table = text_of(hit, "matchedTable"), when = text_of(hit, "when"),
                   note = text_of(hit, "note");
        if (!str_eq(text_of(hit, "action"), str_of(verb)))
            continue;
        strbuf_addf(out, "The rule " STR_FMT, STR_ARG(text_of(hit, "ruleId")));
        if (table.ptr && seen.table)
            strbuf_addf(out, " about \"" STR_FMT "\"", STR_ARG(table));
        if (note.ptr)
            strbuf_addf(out, " (" STR_FMT ")", STR_ARG(note));
        strbuf_add_cstr(out, str_eq(str_of(verb), S("deny")) ? " denies this write; nothing was changed. "
                                                             : " asks for a reason; nothing was changed. ");
        if (str_eq(str_of(verb), S("deny")))
            tell_what_would_pass(out, when, seen.condition, seen.table ? table : (struct str){NULL, 0});
        return;
    }
}

enum err_code rules_refuse(struct op *op, const struct verdict *v, struct err *err)
{
    AUTO_STRBUF why;
    AUTO_STRBUF hits;
    struct jsonw w;
    bool denies = v->action == RULE_DENY;
    strbuf_init(&why, 16 << 10);
    strbuf_init(&hits, HITS_BYTES_MAX);
    jsonw_init(&w, &hits);
    rules_write_hits(op, &w, v->hits, false);
    op->hits = strbuf_failed(&hits) ? STR_EMPTY : arena_copy(op->arena, strbuf_str(&hits));
    tell_why(op, &why, v, denies ? "deny" : "require_reason");
    if (!denies)
        strbuf_add_cstr(&why,
            "Send it again with \"reason\" in the body: why it is done, for those who read of it later");
    op->head.rows_written = 0;
    return err_set(err, denies ? ERR_RULE : ERR_REASON, "%s", strbuf_cstr(&why));
}
