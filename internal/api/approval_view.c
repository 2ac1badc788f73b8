/* Approvals as JSON. Everything that came from whoever asked is somebody else's text: the member "untrusted"
 * names these members, and "display" has them once more with what hides in them spelled out (base/visible.h).
 * The exact texts stand beside it. */
#include "api/approvals.h"
#include "audit/receipt.h"
#include "base/clock.h"
#include "base/visible.h"
#include "json/rewrite.h"

#define PAGE_DEFAULT 50
#define PAGE_MOST    200
#define SHOWN_MAX    (4u << 20)

static void write_time(struct jsonw *w, const char *key, int64_t ms)
{
    char iso[CLOCK_ISO_MAX];

    clock_iso(ms, iso);
    JSONW_CSTR(w, key, ms ? iso : NULL);
}

static struct str or_null(const struct id *id)
{
    return id->text[0] ? id_str(id) : (struct str){NULL, 0};
}

/* Stored JSON of ours; what is none any more is passed over. */
static void write_json(struct jsonw *w, struct arena *a, const char *key, struct str json,
    void (*text)(struct strbuf *, struct str))
{
    const struct jsonr_value *v = NULL;

    jsonw_key(w, key);
    if (json.ptr && jsonr_parse_with_nul(a, json, &v, NULL) == ERR_OK)
        jsonw_value(w, v, text);
    else
        jsonw_null(w);
}

/* --- Somebody else's texts --- */

static void write_visible(struct jsonw *w, const char *key, struct str text)
{
    AUTO_STRBUF out;

    strbuf_init(&out, SHOWN_MAX);
    if (text.ptr)
        strbuf_add_visible(&out, text);
    JSONW_TEXT_OR_NULL(w, key, text.ptr ? strbuf_str(&out) : text);
}

static void write_display(struct jsonw *w, struct arena *a, const struct approval *p)
{
    jsonw_key(w, "display");
    jsonw_object(w);
    write_visible(w, "sql", p->sql);
    if (p->statements.ptr)
        write_json(w, a, "statements", p->statements, strbuf_add_visible);
    write_json(w, a, "params", p->params, strbuf_add_visible);
    write_json(w, a, "hits", p->hits, strbuf_add_visible);
    write_visible(w, "reason", p->reason);
    write_visible(w, "ticket", p->ticket);
    write_visible(w, "agent", p->agent);
    write_visible(w, "model", p->model);
    jsonw_object_end(w);
}

static void write_untrusted(struct jsonw *w)
{
    static const char *const NAMES[] = {
        "sql", "statements", "params", "hits", "reason", "ticket", "agent", "model", "display", "proposal"};
    jsonw_key(w, "untrusted");
    jsonw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        jsonw_cstr(w, NAMES[i]);
    jsonw_array_end(w);
}

static void write_asked(struct jsonw *w, struct arena *a, const struct approval *p)
{
    JSONW_TEXT(w, "action", p->action);
    JSONW_TEXT_OR_NULL(w, "sql", p->sql);
    if (p->statements.ptr)
        write_json(w, a, "statements", p->statements, NULL);
    JSONW_BOOL(w, "sqlTruncated", p->sql_cut);
    JSONW_INT(w, "estimatedAffectedRows", p->affected);
    write_json(w, a, "hits", p->hits, NULL);
    JSONW_TEXT_OR_NULL(w, "reason", p->reason);
    JSONW_TEXT_OR_NULL(w, "ticket", p->ticket);
    JSONW_TEXT_OR_NULL(w, "agent", p->agent);
    JSONW_TEXT_OR_NULL(w, "model", p->model);
    jsonw_key(w, "requestedBy");
    jsonw_object(w);
    JSONW_TEXT(w, "tokenId", id_str(&p->token_id));
    JSONW_TEXT_OR_NULL(w, "userId", or_null(&p->person_id));
    jsonw_object_end(w);
    write_untrusted(w);
}

/* --- The rest --- */

static void write_confirm(struct jsonw *w, const struct approval *p)
{
    jsonw_key(w, "confirm");
    if (!p->confirm_within_s) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    JSONW_INT(w, "withinSec", p->confirm_within_s);
    write_time(w, "by", p->confirm_by);
    JSONW_TEXT_OR_NULL(w, "state", p->confirm_state);
    JSONW_TEXT_OR_NULL(w, "confirmedBy", p->confirmed_by);
    JSONW_TEXT_OR_NULL(w, "undoProposalId", p->undo_proposal);
    JSONW_TEXT_OR_NULL(w, "note", p->undo_note);
    jsonw_object_end(w);
}

/* Of rows that the bearer must not see it is for people with the role that decides, and for admins without
 * limits. */
static bool tells_hash(struct api_call *c, const struct approval *p)
{
    enum member_role role = MEMBER_NONE;

    if (!p->hash_hidden)
        return true;
    if (c->person)
        return !approval_role(c->db, p, &c->person->account.id, &role, NULL) && role >= p->approver_role;
    return c->who->role == WIRE_ROLE_ADMIN && !c->who->has_table_scope && !c->who->claims.len;
}

static void write_decision(struct jsonw *w, const struct approval_decision *d, const struct approval_shown *s)
{
    jsonw_object(w);
    JSONW_TEXT(w, "userId", id_str(&d->account_id));
    if (s->people) {
        JSONW_TEXT_OR_NULL(w, "name", d->name);
        JSONW_TEXT_OR_NULL(w, "email", d->email);
    }
    JSONW_CSTR(w, "role", member_role_name(d->role));
    JSONW_CSTR(w, "decision", d->approves ? "approve" : "deny");
    JSONW_TEXT_OR_NULL(w, "note", d->note);
    JSONW_CSTR(w, "hash", s->tells_hash ? d->hash : NULL);
    write_time(w, "passwordConfirmedAt", d->confirmed_at);
    write_time(w, "createdAt", d->created_at);
    jsonw_object_end(w);
}

static void write_decisions(struct jsonw *w, const struct approval_shown *s)
{
    jsonw_key(w, "decisions");
    jsonw_array(w);
    for (size_t i = 0; i < s->count; i++)
        write_decision(w, &s->decisions[i], s);
    jsonw_array_end(w);
    jsonw_key(w, "decidedBy");
    if (s->count)
        jsonw_text(w, id_str(&s->decisions[s->count - 1].account_id));
    else
        jsonw_null(w);
}

void approval_view(struct jsonw *w, struct arena *a, const struct approval *p, const struct approval_shown *s)
{
    JSONW_CSTR(w, "approvalToken", p->id);
    JSONW_CSTR(w, "status", approval_status_name(p->status));
    JSONW_CSTR(w, "namespace", p->namespace_slug);
    JSONW_CSTR(w, "database", p->database_slug);
    JSONW_TEXT(w, "databaseId", id_str(&p->database_id));
    JSONW_TEXT(w, "proposalId", id_str(&p->proposal_id));
    JSONW_CSTR(w, "hash", s->tells_hash ? p->hash : NULL);
    write_asked(w, a, p);
    JSONW_INT(w, "approvals", p->needed);
    JSONW_INT(w, "approvalsGiven", p->given);
    JSONW_CSTR(w, "approverRole", member_role_name(p->approver_role));
    write_time(w, "createdAt", p->created_at);
    write_time(w, "expiresAt", p->expires_at);
    write_time(w, "decidedAt", p->decided_at);
    write_time(w, "redeemedAt", p->redeemed_at);
    JSONW_TEXT_OR_NULL(w, "replaces", p->replaces);
    JSONW_TEXT_OR_NULL(w, "replacedBy", p->replaced_by);
    JSONW_BOOL(w, "runAtOnce", p->run_at_once);
    write_confirm(w, p);
    if (!s->whole)
        return;
    write_json(w, a, "params", p->params, NULL);
    JSONW_BOOL(w, "paramsTruncated", p->params.ptr && str_eq(p->params, S("null")));
    write_decisions(w, s);
    write_display(w, a, p);
}

enum err_code approval_view_whole(
    struct api_call *c, const struct approval *p, void (*extra)(struct jsonw *w, void *arg), void *arg)
{
    struct approval_decision *rows;
    struct approval_shown s = {.tells_hash = tells_hash(c, p), .whole = true, .people = c->person != NULL};
    enum err_code rc = approval_decisions(c->db, c->arena, p, &rows, &s.count, c->err);

    if (rc)
        return rc;
    s.decisions = rows;
    jsonw_object(c->out);
    approval_view(c->out, c->arena, p, &s);
    if (extra)
        extra(c->out, arg);
    jsonw_object_end(c->out);
    return ERR_OK;
}

enum err_code approval_view_receipt(struct api_call *c, const struct approval *p)
{
    if (!tells_hash(c, p))
        return err_set(c->err, ERR_FORBIDDEN,
            "This receipt has the hash of rows that are hidden from you; it is for those who decide");
    return receipt_write(c->db, &p->namespace_id, str_of(p->id), c->out, c->err);
}

/* --- Lists --- */

enum err_code approval_read_filter(struct api_call *c, struct approval_filter *ret)
{
    struct str status = query_get(c->args, "status");
    enum err_code rc = query_i64(c->args, "cursor", INT64_MAX, 1, INT64_MAX, &ret->before, c->err);

    if (!rc)
        rc = query_i64(c->args, "limit", PAGE_DEFAULT, 1, PAGE_MOST, &ret->limit, c->err);
    ret->unconfirmed = status.ptr && str_eq(status, S("conflict"));
    ret->has_status = status.ptr && !ret->unconfirmed;
    if (!rc && ret->has_status && !approval_status_parse(status, &ret->status))
        rc = err_field(c->err, "/status",
            "must be pending, approved, denied, expired, withdrawn, void, redeemed, or conflict: done, not "
            "confirmed in time, and not taken back");
    return rc;
}

static void write_counts(struct jsonw *w, const int64_t *counts)
{
    jsonw_key(w, "counts");
    jsonw_object(w);
    for (int i = 0; i < APPROVAL_STATUS_COUNT; i++)
        JSONW_INT(w, approval_status_name((enum approval_status)i), counts[i]);
    JSONW_INT(w, "conflict", counts[APPROVAL_STATUS_COUNT]);
    jsonw_object_end(w);
}

enum err_code approval_view_list(struct api_call *c, struct approval_filter *f, const int64_t *counts)
{
    char cursor[24] = "";
    struct approval *rows;
    size_t count;
    int64_t limit = f->limit++; /* one more tells whether there are more */
    enum err_code rc = approval_list(c->db, c->arena, f, &rows, &count, c->err);

    if (rc)
        return rc;
    bool more = count > (size_t)limit;
    count = more ? (size_t)limit : count;
    jsonw_object(c->out);
    jsonw_key(c->out, "approvals");
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++) {
        const struct approval_shown brief = {.tells_hash = tells_hash(c, &rows[i]), .whole = false};
        jsonw_object(c->out);
        approval_view(c->out, c->arena, &rows[i], &brief);
        jsonw_object_end(c->out);
    }
    jsonw_array_end(c->out);
    if (more)
        str_print(cursor, sizeof cursor, "%lld", (long long)rows[count - 1].seq);
    JSONW_CSTR(c->out, "nextCursor", more ? cursor : NULL);
    if (counts)
        write_counts(c->out, counts);
    jsonw_object_end(c->out);
    return ERR_OK;
}
