/* All or nothing in the control database. */
#include "lib/control_fault.h"
#include "lib/unit.h"
#include <string.h>

static enum err_code in_transaction(struct db *db, enum err_code (*fn)(void))
{
    enum err_code code = tx_begin_write(db, NULL);
    return code ? code : tx_end(db, fn(), NULL);
}

/* One failure. true: the operation succeeded. */
static bool round_of(const struct control_fault *f, const struct control_operation *op, const char *before)
{
    fault_off();
    control_fixture_reopen(f->fx); /* no cached statements: preparing may fail too */
    fault_rearm();
    bool done = in_transaction(f->fx->db, op->run) == ERR_OK;
    fault_off();
    control_fixture_reopen(f->fx);
    char *after = control_fixture_dump(f->fx);
    expect_row((strcmp(before, after) == 0) == !done, op->name);
    mem_free(after);
    return done;
}

static void run_one(const struct control_fault *f, enum fault_kind kind, const struct control_operation *op)
{
    bool done = false;
    fault_start(kind);
    f->prepare();
    char *before = control_fixture_dump(f->fx);
    while (!done && fault_next())
        done = round_of(f, op, before);
    expect_row(done, op->name);
    expect_row(fault_points() >= 1 && fault_points() <= 2000, op->name);
    mem_free(before);
    fault_off();
    control_fixture_release(f->fx);
    if (f->release)
        f->release();
}

void control_fault_run(const struct control_fault *f, enum fault_kind kind)
{
    for (size_t i = 0; i < f->count; i++)
        run_one(f, kind, &f->operations[i]);
}
