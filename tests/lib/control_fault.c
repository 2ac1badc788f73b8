/* All or nothing in the control database. */
#include "lib/control_fault.h"
#include "lib/unit.h"
#include <string.h>

static enum err_code in_transaction(struct db *db, enum err_code (*fn)(void))
{
    enum err_code code = tx_begin_write(db, NULL);
    return code ? code : tx_end(db, fn(), NULL);
}

static void release(const struct control_fault *f)
{
    control_fixture_release(f->fx);
    if (f->release)
        f->release();
}

/* How many rows each table has, and how many fields of them are empty: ids and times aside, what was done. */
static void write_shape(const char *dump, struct strbuf *out)
{
    struct str rest = str_of(dump), line;
    unsigned rows = 0, empty = 0;
    while (str_cut(&rest, '\n', &line)) {
        if (str_starts(line, S("[")) || !line.len)
            strbuf_addf(out, " %u %u " STR_FMT, rows, empty, STR_ARG(line));
        rows++;
        for (size_t i = 0; i < line.len; i++)
            empty += str_starts(str_slice(line, i, line.len), S("(null)"));
    }
    assert_false(strbuf_failed(out));
}

static void write_whole(const struct control_fault *f, const struct control_operation *op, struct strbuf *out)
{
    f->prepare();
    expect_row(in_transaction(f->fx->db, op->run) == ERR_OK, op->name);
    char *dump = control_fixture_dump(f->fx);
    write_shape(dump, out);
    mem_free(dump);
    release(f);
}

static void expect_shape(const struct control_operation *op, const char *dump, struct str whole)
{
    AUTO_STRBUF shape;
    strbuf_init(&shape, 1 << 16);
    write_shape(dump, &shape);
    expect_row(str_eq(strbuf_str(&shape), whole), op->name);
}

static char *prepare(const struct control_fault *f)
{
    fault_off();
    f->prepare();
    return control_fixture_dump(f->fx);
}

/* One failure. true: the operation succeeded. `before` is the database as it was prepared. */
static bool round_of(
    const struct control_fault *f, const struct control_operation *op, const char *before, struct str whole)
{
    fault_off();
    control_fixture_reopen(f->fx); /* no cached statements: preparing may fail too */
    fault_rearm();
    bool done = in_transaction(f->fx->db, op->run) == ERR_OK;
    fault_off();
    control_fixture_reopen(f->fx);
    char *after = control_fixture_dump(f->fx);
    expect_row((strcmp(before, after) == 0) == !done, op->name);
    if (done)
        expect_shape(op, after, whole);
    mem_free(after);
    return done;
}

/* SQLite goes on without some of its allocations: an operation may succeed although something failed. */
static void run_one(const struct control_fault *f, enum fault_kind kind, const struct control_operation *op)
{
    AUTO_STRBUF whole;
    strbuf_init(&whole, 1 << 16);
    fault_start(kind);
    fault_off();
    write_whole(f, op, &whole);
    char *before = prepare(f);
    bool done = false;
    while (fault_next()) {
        done = round_of(f, op, before, strbuf_str(&whole));
        if (!done)
            continue;
        release(f);
        mem_free(before);
        before = prepare(f);
    }
    expect_row(done, op->name);
    expect_row(fault_points() >= 1 && fault_points() <= 2000, op->name);
    fault_off();
    release(f);
    mem_free(before);
}

void control_fault_run(const struct control_fault *f, enum fault_kind kind)
{
    for (size_t i = 0; i < f->count; i++)
        run_one(f, kind, &f->operations[i]);
}
