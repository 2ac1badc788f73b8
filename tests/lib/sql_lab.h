/* Tenant SQL on a real engine inside the caller's process, over a scratch database in memory, with everything
 * checked that must hold whatever the SQL is. A broken promise is a failed CHECK.
 *
 *   each answer   comes once, is JSON, says success exactly when the status is 200, has a status that SQL can
 * cause each turn     ends outside a transaction with no statement running; what the calls may not change is
 * unchanged byte for byte, the server's own tables always; the file passes integrity_check a scoped call
 * never shows the secret of a table outside its scope
 *
 * Link with -Wl,--wrap=send: the engine's answers go to the lab in place of a socket. One lab a process. */
#ifndef TESTS_LIB_SQL_LAB_H
#define TESTS_LIB_SQL_LAB_H

#include "wire/wire.h"

enum { SQL_LAB_CALLS_MAX = 8, SQL_LAB_DEADLINE_US = 50000 };

/* The scratch database: made once, copied by each sql_lab_begin(). */
void sql_lab_open(void);

void sql_lab_begin(void);
/* Adds a call to the next turn. Strings must live until it is run. */
void sql_lab_call(const struct wire_call *call);
size_t sql_lab_waiting(void);
/* Runs what was added as one turn and checks it. */
void sql_lab_turn(void);
void sql_lab_end(void);

#endif
