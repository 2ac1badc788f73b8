/* A control database of its own for a test: newest schema, one namespace "acme", a connection. */
#ifndef TESTS_LIB_CONTROL_FIXTURE_H
#define TESTS_LIB_CONTROL_FIXTURE_H

#include "audit/actor.h"
#include "base/mem.h"
#include "lib/tmpdir.h"
#include "registry/registry.h"
#include "sqlite/control.h"
#include "tenant/tenant.h"

/* Who does what tests do. */
extern const struct actor TEST_ACTOR;

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

/* The actions in the audit log of "acme", in order: "namespace.created database.created". Caller frees with
 * mem_free. */
char *control_fixture_audit(struct control_fixture *fx);
/* Asserts them. */
#define ASSERT_AUDIT(fx, expected)                                                                           \
    do {                                                                                                     \
        char *actions_ = control_fixture_audit(fx);                                                          \
        assert_string_equal(actions_, expected);                                                             \
        mem_free(actions_);                                                                                  \
    } while (0)

#define AUTO_CONTROL_FIXTURE CLEANUP(control_fixture_release) struct control_fixture

#endif
