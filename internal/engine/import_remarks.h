/* What a dump of this server says in remarks: descriptions and policies, which are stored, and notes about
 * what the dump could not hold, which go into the answer.
 *
 *   -- description: {"table":"orders","column":"total","description":"in euro"}
 *   -- policy: {"name":"own rows","tableName":"orders","command":"all",…}
 *   -- row security: {"tableName":"orders"}
 *   -- note: "docs" keeps no content, so …
 *
 * Any other remark, and a description of something that is not there, is a remark and nothing else.
 * Engine's thread. */
#ifndef ENGINE_IMPORT_REMARKS_H
#define ENGINE_IMPORT_REMARKS_H

#include "engine/op.h"

enum { REMARKS_NOTES_MAX = 100, REMARKS_DESCRIPTIONS_MAX = 10000 };

struct import_remarks {
    struct op *op;
    struct import_remark *first, **tail; /* in order */
    int count;                           /* of descriptions */
    struct str notes[REMARKS_NOTES_MAX]; /* past that they are not told */
    int note_count;
    int64_t stored; /* descriptions */
    int64_t policies;
};

void import_remarks_init(struct import_remarks *r, struct op *op);
/* A comment of the script, with its dashes. */
void import_remarks_take(struct import_remarks *r, struct str comment);
/* Once the tables are there. */
MUST_CHECK enum err_code import_remarks_store(
    struct import_remarks *r, struct arena *scratch, struct err *err);

#endif
