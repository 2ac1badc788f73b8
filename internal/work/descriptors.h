/* File descriptors: what the front's caps may need, and what becomes of the caps where the system allows
 * fewer. Any thread. */
#ifndef WORK_DESCRIPTORS_H
#define WORK_DESCRIPTORS_H

#include "base/err.h"

struct descriptor_caps {
    unsigned connections, engines;
};

uint64_t descriptors_needed(const struct descriptor_caps *caps);

/* Lowers the caps, both in proportion, until they fit into `allowed`; those that fit are left alone.
 * ERR_UNAVAILABLE: there are too few to serve anybody. */
MUST_CHECK enum err_code descriptors_fit(uint64_t allowed, struct descriptor_caps *caps, struct err *err);

/* Raises the process's soft limit as far as the caps need and the hard limit lets it, then as above.
 * *ret_allowed: descriptors there are now. */
MUST_CHECK enum err_code descriptors_raise(
    struct descriptor_caps *caps, uint64_t *ret_allowed, struct err *err);

#endif
