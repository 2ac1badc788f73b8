/* What people wrote about the database, its tables, views and columns: the table `_sys_description`. A
 * description belongs to a name; one whose table or column is gone is kept and not shown. Engine's thread. */
#ifndef ENGINE_DESCRIPTIONS_H
#define ENGINE_DESCRIPTIONS_H

#include "engine/catalog.h"

enum { DESCRIPTION_MAX = 4000 }; /* bytes; a paragraph, not a document */

/* Fills the description members of `cat`; *ret_database is the database's own, "" none. */
MUST_CHECK enum err_code descriptions_attach(
    const struct catalog_source *src, struct catalog *cat, struct str *ret_database, struct err *err);

/* Stores, or with text.ptr NULL removes. `table` and `column` are "" for what stands above them. */
MUST_CHECK enum err_code descriptions_set(
    const struct catalog_source *src, struct str table, struct str column, struct str text, struct err *err);

#endif
