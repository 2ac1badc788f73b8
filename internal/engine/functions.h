/* SQL functions whose built-in form can run past every deadline inside one C call, replaced by ones that
 * cannot. */
#ifndef ENGINE_FUNCTIONS_H
#define ENGINE_FUNCTIONS_H

#include <sqlite3.h>

/* SQLITE_OK or the error of sqlite3_create_function. */
int functions_register(sqlite3 *db);
int functions_register_json(sqlite3 *db); /* part of it: functions_json.c */

#endif
