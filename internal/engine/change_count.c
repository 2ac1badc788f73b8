/* What a recording becomes whose rows are too many to be kept, or cannot be: numbers. */
#include "base/mem.h"
#include "engine/change_table.h"

/* A row that is changed twice counts twice from here on: never less than what was done. */
void recorder_count(struct recorder_table *t, int op, bool indirect)
{
    t->counts[op == SQLITE_INSERT ? CHANGE_INSERT : op == SQLITE_DELETE ? CHANGE_DELETE : CHANGE_UPDATE]++;
    t->direct |= !indirect;
}

static void count_entries(const struct recorder *r)
{
    for (size_t i = 0; i < r->entry_count; i++) {
        const struct recorder_entry *e = &r->entries[i];
        int op = e->was && e->is ? SQLITE_UPDATE : e->is ? SQLITE_INSERT : SQLITE_DELETE;
        if (e->was && e->is ? !e->same : e->was || e->is)
            recorder_count(e->table, op, e->indirect);
    }
}

void recorder_give_up(struct recorder *r, enum recorder_failure why, struct str table)
{
    if (r->given_up)
        return;
    r->given_up = why;
    r->failed_table = table;
    count_entries(r);
    mem_free(r->entries);
    mem_free(r->index);
    r->entries = NULL;
    r->index = NULL;
    r->entry_count = r->entry_cap = r->index_cap = r->indexed = 0;
    strbuf_release(&r->cells);
    strbuf_release(&r->kept);
}

void recorder_counts(const struct recorder *r,
    void (*fn)(void *arg, struct str table, const int64_t counts[CHANGE_OP_COUNT], bool indirect), void *arg)
{
    for (const struct recorder_table *t = r->tables; t; t = t->next) {
        bool any = t->counts[CHANGE_INSERT] || t->counts[CHANGE_UPDATE] || t->counts[CHANGE_DELETE];
        if (any && !t->ignored)
            fn(arg, t->shown, t->counts, !t->direct);
    }
}
