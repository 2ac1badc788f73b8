/* What simulations share: dice that a seed repeats, a table that is compared with its model, people who may
 * decide about approvals. */
#ifndef TESTS_LIB_SIMULATION_H
#define TESTS_LIB_SIMULATION_H

#include "account/account.h"
#include "lib/control_fixture.h"
#include "lib/proposal_model.h"
#include "token/token.h"
#include <sqlite3.h>

/* --- Dice --- */

/* Begins a run of STEPS steps ("" as in the environment, else `steps`), with SEED or a random seed, and says
 * so: a test that fails is repeated by what it printed. */
uint64_t simulation_begin(uint64_t steps);
unsigned simulation_draw(unsigned below);
struct write simulation_write(void); /* any write to the table of the model */

/* --- The table --- */

/* Makes it, with every second row, in the file and in *ret. */
void simulation_make_table(sqlite3 *db, struct table *ret);
struct table simulation_read_table(sqlite3 *db);
/* Fails the test when it is not as it should be. */
void simulation_expect_table(sqlite3 *db, const struct table *want);

/* --- People --- */

enum { SIMULATION_PEOPLE = 5, SIMULATION_REQUESTER = 0, SIMULATION_DECIDERS = 4 };

/* In "acme": an admin, who made the token; an admin, an owner, an admin; an editor, who may not decide. */
struct simulation_people {
    struct registry_entry database;
    struct account person[SIMULATION_PEOPLE];
    struct token token;
};
void simulation_people(struct control_fixture *fx, struct arena *a, struct simulation_people *ret);
/* Commits, or (one in eight) everything of the transaction is lost, as after `code`: false. */
bool simulation_end_tx(struct db *db, enum err_code code, unsigned *lost);
/* Fails the test when they differ. */
void simulation_expect(const char *what, enum err_code got, enum err_code want);
/* Rows of the audit log of this action. */
int64_t simulation_count_audit(struct db *db, const char *action);

#endif
