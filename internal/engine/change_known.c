/* What recorders have read of tables, from call to call: three PRAGMAs for each table of each write cost more
 * than the write of one row. */
#include "base/mem.h"
#include "engine/change_table.h"
#include "engine/engine_state.h"

enum { KNOWN_BYTES_MAX = 1 << 20 };

struct known_tables {
    struct arena arena;
    struct recorder_table *first;
};

/* NULL: there is no room. */
static struct recorder_table *copy_table(struct arena *a, const struct recorder_table *t)
{
    struct recorder_table *copy = arena_alloc(a, sizeof *copy);
    struct recorder_column *columns = arena_alloc(a, (t->column_count + 1) * sizeof *columns);
    if (!copy || !columns)
        return NULL;
    *copy = *t;
    copy->name = copy->shown = arena_copy(a, t->name);
    copy->columns = columns;
    for (size_t i = 0; i < t->column_count; i++) {
        columns[i] = t->columns[i];
        columns[i].name = arena_copy(a, t->columns[i].name);
    }
    return arena_failed(a) ? NULL : copy;
}

struct recorder_table *known_table_get(struct recorder *r, struct str name)
{
    const struct known_tables *k = r->eng->known_tables;
    const struct recorder_table *t = k ? k->first : NULL;
    while (t && !str_eq(t->name, name))
        t = t->next;
    return t ? copy_table(&r->arena, t) : NULL;
}

void known_table_put(struct engine *eng, const struct recorder_table *t)
{
    if (!eng->known_tables) {
        eng->known_tables = MEM_NEW(struct known_tables);
        arena_init(&eng->known_tables->arena, KNOWN_BYTES_MAX);
    }
    struct recorder_table *copy = copy_table(&eng->known_tables->arena, t);
    if (!copy) { /* full: it begins anew */
        recorder_tables_forget(eng);
        return;
    }
    copy->next = eng->known_tables->first;
    eng->known_tables->first = copy;
}

void recorder_tables_forget(struct engine *eng)
{
    if (!eng->known_tables)
        return;
    arena_release(&eng->known_tables->arena);
    mem_free(eng->known_tables);
    eng->known_tables = NULL;
}
