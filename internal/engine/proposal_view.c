/* Proposals as JSON. */
#include "engine/proposal_view.h"
#include "base/clock.h"
#include "base/enc.h"
#include "engine/proposing.h"
#include "engine/task.h"
#include "json/rewrite.h"

enum { PAGE_ROWS = 100, PAGE_BYTES = 256 << 10, PARAMS_BYTES_MAX = 16 << 10 };

bool proposal_sees_all(const struct op *op)
{
    return op->call.role == WIRE_ROLE_ADMIN && !op->call.has_table_scope && !op->call.claims.len;
}

enum err_code proposal_find(struct op *op, struct proposal *ret, struct err *err)
{
    bool found = false;
    struct str id = wire_arg(&op->call, "id");
    enum err_code code = id.ptr ? proposal_by_id(op, id, &found, ret, err) : ERR_OK;
    if (code)
        return code;
    if (found && (proposal_sees_all(op) || str_eq(ret->bearer, op->call.token_id)))
        return ERR_OK;
    return err_set(err, ERR_NOT_FOUND, "No such proposal");
}

static bool sees_table(void *arg, struct str table)
{
    return op_table_visible(arg, table);
}

struct change_view proposal_rows(struct op *op, const struct proposal *p)
{
    return (struct change_view){.sees = sees_table,
        .arg = op,
        .no_indirect = p->no_indirect && !proposal_sees_all(op),
        .table = {NULL, 0},
        .rows_max = PAGE_ROWS,
        .bytes_max = PAGE_BYTES};
}

int64_t proposal_undo_until_ms(const struct op *op, const struct proposal *p)
{
    bool kept =
        p->decided_ms && str_eq(p->state, S("applied")) && (!p->no_undo.ptr || p->schema_diff.len > 2);
    return kept ? p->decided_ms + proposals_kept_ms(op->eng) : 0;
}

static void write_time(struct jsonw *w, const char *key, int64_t ms)
{
    char iso[CLOCK_ISO_MAX];
    clock_iso(ms, iso);
    JSONW_CSTR(w, key, ms ? iso : NULL);
}

/* Of what was stored before bodies were read as strictly as now, other kinds are passed over. */
static const struct jsonr_value *member_of(
    const struct jsonr_value *v, const char *name, enum jsonr_kind kind)
{
    const struct jsonr_value *m = jsonr_kind(v) == JSONR_OBJECT ? jsonr_member(v, str_of(name)) : NULL;
    return m && jsonr_kind(m) == kind ? m : NULL;
}

static void write_sql(struct jsonw *w, const struct jsonr_value *of)
{
    const struct jsonr_value *sql = member_of(of, "sql", JSONR_TEXT);
    if (sql)
        jsonw_text(w, jsonr_text(sql));
    else
        jsonw_null(w);
}

/* The member of the request, as it was sent. */
void proposal_write_request(struct op *op, struct jsonw *w, const struct proposal *p)
{
    const struct jsonr_value *root;
    if (jsonr_parse(op->arena, p->body, &root, NULL)) {
        JSONW_NULL(w, "sql");
        return;
    }
    const struct jsonr_value *list = member_of(root, "statements", JSONR_ARRAY);
    jsonw_key(w, "sql");
    write_sql(w, root);
    if (!list)
        return;
    jsonw_key(w, "statements");
    jsonw_array(w);
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v))
        write_sql(w, v);
    jsonw_array_end(w);
}

/* false: it has none. */
static bool write_params_of(struct jsonw *w, const struct jsonr_value *of)
{
    const struct jsonr_value *list = member_of(of, "params", JSONR_ARRAY),
                             *v = list ? list : member_of(of, "params", JSONR_OBJECT);
    if (v)
        jsonw_value(w, v, NULL);
    else
        jsonw_null(w);
    return v != NULL;
}

void proposal_write_params(struct op *op, struct jsonw *w, const struct proposal *p)
{
    const struct jsonr_value *root = NULL, *list = NULL;
    bool any = false;
    AUTO_STRBUF out;
    struct jsonw params;
    strbuf_init(&out, PARAMS_BYTES_MAX);
    jsonw_init(&params, &out);
    if (!jsonr_parse(op->arena, p->body, &root, NULL))
        list = member_of(root, "statements", JSONR_ARRAY);
    if (list)
        jsonw_array(&params);
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v))
        any |= write_params_of(&params, v);
    if (list)
        jsonw_array_end(&params);
    else if (root)
        any = write_params_of(&params, root);
    bool cut = any && strbuf_failed(&out);
    jsonw_key(w, "params");
    jsonw_raw(w, any && !cut ? strbuf_str(&out) : S("null"));
    JSONW_BOOL(w, "paramsTruncated", cut);
}

static void write_undo_of(struct jsonw *w, struct str ids)
{
    struct str id;
    jsonw_key(w, "undoOf");
    if (!ids.ptr) {
        jsonw_null(w);
        return;
    }
    jsonw_array(w);
    while (str_cut(&ids, ' ', &id))
        jsonw_text(w, id);
    jsonw_array_end(w);
}

static void write_head(struct op *op, struct jsonw *w, const struct proposal *p)
{
    JSONW_TEXT(w, "proposalId", p->id);
    JSONW_CSTR(w, "status", proposal_state(p));
    JSONW_TEXT(w, "action", p->action);
    proposal_write_request(op, w, p);
    JSONW_INT(w, "estimatedAffectedRows", p->affected);
    write_time(w, "createdAt", p->created_ms);
    write_time(w, "expiresAt", p->expires_ms);
    write_time(w, "decidedAt", p->decided_ms);
    JSONW_TEXT(w, "tokenId", p->bearer);
    JSONW_BOOL(w, "held", p->approval.ptr != NULL);
    write_undo_of(w, p->undo_of);
    write_time(w, "undoUntil", proposal_undo_until_ms(op, p));
    JSONW_TEXT_OR_NULL(w, "reason", p->reason);
    JSONW_TEXT_OR_NULL(w, "ticket", p->ticket);
    JSONW_TEXT_OR_NULL(w, "agent", p->agent);
    JSONW_TEXT_OR_NULL(w, "model", p->model);
}

void proposal_write_brief(struct op *op, struct jsonw *w, const struct proposal *p)
{
    jsonw_object(w);
    write_head(op, w, p);
    jsonw_object_end(w);
}

/* The digest of what the caller sees only in part could be used to guess the rest. */
static void write_hash(struct jsonw *w, const struct proposal *p, bool all)
{
    AUTO_STRBUF text;
    strbuf_init(&text, 100);
    strbuf_add_cstr(&text, "sha256:");
    enc_hex(&text, p->hash);
    JSONW_CSTR(w, "hash", all ? strbuf_cstr(&text) : NULL);
}

static void write_raw(struct jsonw *w, const char *key, struct str json)
{
    jsonw_key(w, key);
    jsonw_raw(w, json);
}

const char *proposal_undo_by(struct str no_undo)
{
    if (!no_undo.ptr)
        return "rows";
    return str_eq(no_undo, S(PROPOSE_UNDO_BY_ITSELF)) ? "schema" : NULL;
}

enum err_code proposal_write(struct op *op, struct jsonw *w, const struct proposal *p, struct str set,
    struct str token, struct err *err)
{
    struct change_view v = proposal_rows(op, p);
    struct change_totals totals;
    enum err_code code = change_view_count(&v, set, &totals, err);
    if (code)
        return code;
    jsonw_object(w);
    write_head(op, w, p);
    proposal_write_params(op, w, p);
    if (token.len)
        JSONW_TEXT(w, "executionToken", token);
    write_hash(w, p, totals.hidden == 0);
    write_raw(w, "plan", p->plan);
    jsonw_key(w, "changes");
    jsonw_object(w);
    code = change_view_write(&v, set, w, err);
    jsonw_object_end(w);
    write_raw(w, "schemaDiff", p->schema_diff);
    write_raw(w, "flags", p->flags);
    jsonw_key(w, "rules");
    rules_write_hits(op, w, p->rules, true);
    JSONW_CSTR(w, "decision", rules_decision(op, p->rules, p->reason));
    JSONW_TEXT(w, "rehearsedOn", p->rehearsed_on);
    JSONW_TEXT_OR_NULL(w, "noUndo", p->no_undo);
    JSONW_CSTR(w, "undoBy", proposal_undo_by(p->no_undo));
    jsonw_object_end(w);
    return code;
}
