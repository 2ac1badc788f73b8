/* See receipt.h. */
#include "audit/receipt.h"

#include "audit/audit_internal.h"
#include "base/strbuf.h"
#include "json/jsonr.h"
#include "json/rewrite.h"

#define SQL_ROWS                                                                                             \
    "SELECT " AUDIT_ROW_COLUMNS " FROM audit WHERE chain = ?1 AND target_id = ?2 AND target_type = "         \
    "'approval' ORDER BY seq"
#define PARSED_MAX (32 << 20)

/* --- Writing --- */

static void member_TEXT(struct jsonw *w, const char *name, struct str text)
{
    JSONW_TEXT_OR_NULL(w, name, text);
}

static void member_INT(struct jsonw *w, const char *name, int64_t value)
{
    JSONW_INT(w, name, value);
}

/* Who edits the file may write anything there: only JSON is passed on. */
static void write_details(struct jsonw *w, struct str after)
{
    AUTO_ARENA a;
    const struct jsonr_value *root;

    arena_init(&a, 1 << 20);
    jsonw_key(w, "details");
    if (after.ptr && jsonr_parse(&a, after, &root, NULL) == ERR_OK)
        jsonw_value(w, root, NULL);
    else
        jsonw_null(w);
}

static void write_event(struct jsonw *w, const struct audit_row *row)
{
    char hash[AUDIT_HEX_SIZE];

    audit_hex(&row->hash, hash);
    jsonw_object(w);
#define COLUMN(member, kind, name) member_##kind(w, name, row->member);
    AUDIT_COLUMNS(COLUMN)
#undef COLUMN
    JSONW_CSTR(w, "hash", hash);
    write_details(w, row->after_values);
    jsonw_object_end(w);
}

static void begin(struct jsonw *w, struct str approval, struct str chain)
{
    jsonw_object(w);
    JSONW_INT(w, "holdfastReceipt", 1);
    JSONW_TEXT(w, "approvalToken", approval);
    JSONW_TEXT(w, "chain", chain);
    jsonw_key(w, "events");
    jsonw_array(w);
}

static void end(struct jsonw *w)
{
    jsonw_array_end(w);
    jsonw_object_end(w);
}

enum err_code receipt_write(
    struct db *db, const struct id *namespace_id, struct str approval, struct jsonw *w, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct audit_row row;
    size_t count = 0;
    enum err_code code =
        db_query(db, SQL_ROWS, DB_ARGS(db_text(id_str(namespace_id)), db_text(approval)), &st, err);

    if (code)
        return code;
    begin(w, approval, id_str(namespace_id));
    for (; db_row(&st); count++) {
        audit_map_row(&st, &row);
        write_event(w, &row);
    }
    end(w);
    code = db_done(&st, err);
    return code || count ? code : err_set(err, ERR_NOT_FOUND, "The audit log knows nothing of this approval");
}

/* --- Comparing --- */

static enum err_code no_receipt(struct err *err)
{
    return err_set(err, ERR_INVALID, "the file is no receipt of an approval");
}

static struct str text_of(const struct jsonr_value *object, const char *name)
{
    const struct jsonr_value *v = jsonr_member(object, str_of(name));

    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

enum err_code receipt_check_init(struct receipt_check *c, struct str text, struct err *err)
{
    *c = (struct receipt_check){.wanted = 0};
    arena_init(&c->arena, PARSED_MAX);
    strbuf_init(&c->rebuilt, 2 * (size_t)RECEIPT_BYTES_MAX);
    jsonw_init(&c->w, &c->rebuilt);
    enum err_code code = jsonr_parse(&c->arena, text, &c->receipt, err);
    if (code || jsonr_kind(c->receipt) != JSONR_OBJECT)
        return no_receipt(err);
    const struct jsonr_value *events = jsonr_member(c->receipt, S("events"));
    c->approval = text_of(c->receipt, "approvalToken");
    c->chain = text_of(c->receipt, "chain");
    if (!c->approval.len || !c->chain.len || !events || jsonr_kind(events) != JSONR_ARRAY ||
        !jsonr_count(events))
        return no_receipt(err);
    c->wanted = jsonr_count(events);
    begin(&c->w, c->approval, c->chain);
    return ERR_OK;
}

void receipt_check_release(struct receipt_check *c)
{
    strbuf_release(&c->rebuilt);
    arena_release(&c->arena);
}

void receipt_check_row(void *arg, const struct audit_row *row)
{
    struct receipt_check *c = arg;

    if (!str_eq(row->chain, c->chain) || !str_eq(row->target_id, c->approval) ||
        !str_eq(row->target_type, S("approval")))
        return;
    if (c->seen == c->wanted) {
        c->newer++;
        return;
    }
    c->seen++;
    write_event(&c->w, row);
}

/* White space is no matter; everything else is. */
bool receipt_check_end(struct receipt_check *c)
{
    AUTO_STRBUF given;
    struct jsonw w;

    end(&c->w);
    strbuf_init(&given, 2 * (size_t)RECEIPT_BYTES_MAX);
    jsonw_init(&w, &given);
    jsonw_value(&w, c->receipt, NULL);
    return c->seen == c->wanted && !strbuf_failed(&given) && !strbuf_failed(&c->rebuilt) &&
           str_eq(strbuf_str(&given), strbuf_str(&c->rebuilt));
}
