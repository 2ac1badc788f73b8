/* Operations on the control database in which one thing fails, then the next (lib/fault.h): where
 * such an operation fails, it has changed nothing, its audit rows included; where it succeeds all the same,
 * it has done as much as without the failure. */
#ifndef TESTS_LIB_CONTROL_FAULT_H
#define TESTS_LIB_CONTROL_FAULT_H

#include "lib/control_fixture.h"
#include "lib/fault.h"

struct control_operation {
    const char *name;
    enum err_code (*run)(void); /* on `fx`, inside a write transaction; a refusal is a failure too */
};

struct control_fault {
    struct control_fixture *fx;
    void (*prepare)(void); /* makes *fx, and what the operations need */
    void (*release)(void); /* what `prepare` made besides; NULL nothing */
    const struct control_operation *operations;
    size_t count;
};

void control_fault_run(const struct control_fault *f, enum fault_kind kind);

#endif
