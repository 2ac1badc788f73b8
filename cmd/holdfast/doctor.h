/* What holdfast doctor looks at. Each check adds findings; a bad one says what to do. */
#ifndef CMD_HOLDFAST_DOCTOR_H
#define CMD_HOLDFAST_DOCTOR_H

#include "base/arena.h"
#include "base/list.h"
#include "registry/registry.h"

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_BAD };

struct finding {
    struct list node;
    enum doctor_level level;
    const char *check;
    struct str message;
    const char *advice; /* NULL for DOCTOR_OK */
};

struct doctor {
    const char *data; /* NULL: only the host is looked at */
    struct arena arena;
    struct list findings;
    unsigned bad, notes;
    bool can_sandbox;
    const struct registry_entry *databases; /* of doctor_data(); arena memory */
    size_t database_count;
};

void doctor_ok(struct doctor *d, const char *check, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Something an operator should know; the exit status stays 0. */
void doctor_note(struct doctor *d, const char *check, const char *advice, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Something is wrong: exit status 1. */
void doctor_bad(struct doctor *d, const char *check, const char *advice, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

void doctor_host(struct doctor *d);    /* kernel, limits, versions */
void doctor_data(struct doctor *d);    /* directory, disk, lock, control.db, registry against disk */
void doctor_engines(struct doctor *d); /* integrity of each database, in a sandboxed engine of its own */

#endif
