/* Rules and invariants as JSON: in files, one member a line, so that differences read well. */
#include "policy.h"

#define BODY_BYTES (16 << 20)

static bool same(struct str a, struct str b)
{
    return a.ptr && b.ptr ? str_eq(a, b) : a.ptr == b.ptr;
}

bool policy_same_rule(const struct policy_rule *a, const struct policy_rule *b)
{
    return same(a->table_glob, b->table_glob) && same(a->when, b->when) && same(a->action, b->action) &&
           same(a->approver_role, b->approver_role) && same(a->note, b->note) && a->approvals == b->approvals;
}

bool policy_same_invariant(const struct policy_invariant *a, const struct policy_invariant *b)
{
    return same(a->name, b->name) && same(a->query, b->query) && same(a->note, b->note);
}

/* --- Members --- */

static void put_text(struct jsonw *w, const char *key, struct str text)
{
    if (text.ptr)
        JSONW_TEXT(w, key, text);
}

static bool needs_approvals(const struct policy_rule *r)
{
    return r->approvals != 1;
}

static void put_rule_members(struct jsonw *w, const struct policy_rule *r)
{
    put_text(w, "tableGlob", r->table_glob);
    put_text(w, "when", r->when);
    put_text(w, "action", r->action);
    if (needs_approvals(r))
        JSONW_INT(w, "approvals", r->approvals);
    put_text(w, "approverRole", r->approver_role);
    put_text(w, "note", r->note);
}

static void put_rule(struct jsonw *w, const struct policy_rule *r)
{
    jsonw_object(w);
    put_text(w, "id", r->id);
    JSONW_INT(w, "order", r->order);
    put_rule_members(w, r);
    jsonw_object_end(w);
}

void policy_put_rules(struct jsonw *w, const struct policy_rule *first)
{
    jsonw_key(w, "rules");
    jsonw_array(w);
    for (const struct policy_rule *r = first; r; r = r->next)
        put_rule(w, r);
    jsonw_array_end(w);
}

static void put_invariant(struct jsonw *w, const struct policy_invariant *i)
{
    jsonw_object(w);
    put_text(w, "name", i->name);
    put_text(w, "sql", i->query);
    put_text(w, "note", i->note);
    jsonw_object_end(w);
}

enum err_code policy_send_invariant(struct remote *r, const struct policy_invariant *i, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    put_invariant(&w, i);
    if (strbuf_failed(&body))
        return err_set(err, ERR_TOO_LARGE, "the file is too large");
    return remote_do(r, "POST", "/invariants", strbuf_str(&body), NULL, err);
}

enum err_code policy_drop_invariant(struct remote *r, const struct policy_invariant *i, struct err *err)
{
    struct str tail = arena_printf(&r->arena, "/invariants/" STR_FMT, STR_ARG(i->id));

    return remote_do(r, "DELETE", tail.ptr, STR_EMPTY, NULL, err);
}

/* --- Files --- */

struct lines {
    struct strbuf *out;
    unsigned count;
};

static void line(struct lines *l, const char *key, struct str text)
{
    struct jsonw w;

    if (!text.ptr)
        return;
    strbuf_addf(l->out, "%s  \"%s\": ", l->count++ ? ",\n" : "{\n", key);
    jsonw_init(&w, l->out);
    jsonw_text(&w, text);
}

static void end_lines(struct lines *l)
{
    strbuf_add_cstr(l->out, l->count ? "\n}\n" : "{}\n");
}

void policy_write_rule(struct strbuf *out, const struct policy_rule *r)
{
    struct lines l = {out, 0};

    line(&l, "tableGlob", r->table_glob);
    line(&l, "when", r->when);
    line(&l, "action", r->action);
    if (needs_approvals(r))
        strbuf_addf(out, ",\n  \"approvals\": %lld", (long long)r->approvals);
    line(&l, "approverRole", r->approver_role);
    line(&l, "note", r->note);
    end_lines(&l);
}

void policy_write_invariant(struct strbuf *out, const struct policy_invariant *i)
{
    struct lines l = {out, 0};

    line(&l, "name", i->name);
    line(&l, "sql", i->query);
    line(&l, "note", i->note);
    end_lines(&l);
}

/* --- For people --- */

struct str policy_rule_title(struct arena *a, const struct policy_rule *r)
{
    if (r->note.ptr)
        return arena_printf(a, STR_FMT ": " STR_FMT, STR_ARG(r->action), STR_ARG(r->note));
    if (r->table_glob.ptr)
        return arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(r->action), STR_ARG(r->table_glob));
    return r->when.ptr ? arena_printf(a, STR_FMT " when " STR_FMT, STR_ARG(r->action), STR_ARG(r->when))
                       : r->action;
}
