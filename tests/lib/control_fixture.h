/* A control database of its own for a test: newest schema, one namespace "acme", a connection. */
#ifndef TESTS_LIB_CONTROL_FIXTURE_H
#define TESTS_LIB_CONTROL_FIXTURE_H

#include "lib/tmpdir.h"
#include "registry/registry.h"
#include "sqlite/control.h"
#include "tenant/tenant.h"

struct control_fixture {
    struct tmpdir dir;
    struct control control;
    struct db *db;
    struct tenant tenant;
    struct registry_disk disk; /* its data_dir is `dir`, no hooks */
};

void control_fixture_init(struct control_fixture *fx);
void control_fixture_release(struct control_fixture *fx);
/* Closes and opens the connection again: what a restart sees. */
void control_fixture_reopen(struct control_fixture *fx);

/* All rows of all tables as text, to compare before with after. Caller frees with mem_free. */
char *control_fixture_dump(struct control_fixture *fx);

#define AUTO_CONTROL_FIXTURE CLEANUP(control_fixture_release) struct control_fixture

#endif
