/* Rows that are in the way of a new one, for ON CONFLICT DO UPDATE and REPLACE under row-level security.
 * SQLite reads, changes or deletes them without asking a view, so they are looked at before the new row is
 * tried: each row with one of its keys must be the caller's to see, and to change or delete. Then nothing in
 * the statement ever sees another's row; that a key is taken is told by every INSERT. */
#include "engine/catalog.h"
#include "engine/column.h"
#include "engine/rowsec.h"

static const char SQL_KEYS[] =
    "SELECT x.seqno, x.name, x.coll, l.partial OR x.cid < 0 OR c.hidden,"
    " c.\"notnull\" AND c.dflt_value IS NOT NULL"
    " FROM pragma_index_list(?1, 'main') l JOIN pragma_index_xinfo(l.name, 'main') x"
    " LEFT JOIN pragma_table_xinfo(?1, 'main') c ON c.cid = x.cid"
    " WHERE l.\"unique\" AND x.key ORDER BY l.seq, x.seqno";

static void begin_key(struct strbuf *out, struct str table)
{
    strbuf_add_cstr(out, " OR EXISTS (SELECT 1 FROM main.");
    catalog_quote(out, table);
    strbuf_add_cstr(out, " WHERE ");
}

static void end_key(struct strbuf *out, const char *allowed)
{
    strbuf_addf(out, "(%s) IS NOT TRUE)", allowed);
}

/* Of a unique index: compared as the index does. REPLACE writes a default in place of NULL, which nobody sees
 * before. */
static void add_column(struct strbuf *out, sqlite3_stmt *stmt)
{
    catalog_quote(out, column_bytes(stmt, 1));
    strbuf_add_cstr(out, " COLLATE ");
    catalog_quote(out, column_bytes(stmt, 2));
    strbuf_add_cstr(out, " = NEW.");
    catalog_quote(out, column_bytes(stmt, 1));
    strbuf_add_cstr(out, " AND ");
}

static void add_default(struct strbuf *out, struct str column)
{
    strbuf_addf(out, " OR (_sys_rls_conflicts() & %d AND NEW.", ROWSEC_REPLACES);
    catalog_quote(out, column);
    strbuf_add_cstr(out, " IS NULL)");
}

static bool add_keys(struct strbuf *out, struct strbuf *defaults, sqlite3_stmt *stmt, struct str table,
    const char *allowed, int *ret_rc)
{
    bool open = false, known = true;
    while ((*ret_rc = sqlite3_step(stmt)) == SQLITE_ROW && known) {
        known = sqlite3_column_int(stmt, 3) == 0;
        if (sqlite3_column_int(stmt, 0) == 0) {
            if (open)
                end_key(out, allowed);
            begin_key(out, table);
        }
        open = true;
        add_column(out, stmt);
        if (sqlite3_column_int(stmt, 4))
            add_default(defaults, column_bytes(stmt, 1));
    }
    if (open)
        end_key(out, allowed);
    return known;
}

int rowsec_conflict_text(sqlite3 *db, struct str table, const char *rowid, const char *allowed,
    struct strbuf *out, bool *ret_known)
{
    AUTO_SQL *stmt = NULL;
    AUTO_STRBUF defaults;
    strbuf_init(&defaults, 1 << 16);
    int rc = sqlite3_prepare_v2(db, SQL_KEYS, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(stmt, 1, table.ptr, (int)table.len, SQLITE_STATIC);
    if (rc != SQLITE_OK)
        return rc;
    strbuf_add_cstr(out, "0");
    if (rowid) {
        begin_key(out, table);
        strbuf_addf(out, "%s = NEW.%s AND ", rowid, rowid);
        end_key(out, allowed);
    }
    *ret_known = add_keys(out, &defaults, stmt, table, allowed, &rc);
    strbuf_add_str(out, strbuf_str(&defaults));
    out->failed |= defaults.failed;
    return rc == SQLITE_DONE || !*ret_known ? SQLITE_OK : rc;
}
