/* Time. Deadlines use the monotonic clock in microseconds; stored times are wall-clock integer milliseconds
 * since 1970. Both can be frozen by tests. CLOCK_MONOTONIC is shared by all processes of the host, so a
 * deadline may cross to an engine. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/attr.h"
#include "base/str.h"

int64_t clock_mono_us(void);
int64_t clock_wall_ms(void);
int64_t clock_cpu_us(
    void); /* processor time of the calling thread: what others do on the machine does not count */

#define CLOCK_WALL_MS_END INT64_C(253402300800000) /* the year 10000: times that can be written are below */
#define CLOCK_ISO_MAX     25                       /* "2026-05-05T12:30:00.000Z" and its terminator */
/* Writes ISO-8601 UTC with milliseconds. Years 1970 to 9999. */
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_MAX]);
/* Reads what clock_iso writes; a fraction of one to nine digits or none; a numeric offset in place of Z.
 * Years 1970 to 9999. */
MUST_CHECK bool clock_parse_iso(struct str s, int64_t *ret_wall_ms);

/* Tests: from now on both clocks stand still at these values; clock_test_advance moves both; clock_test_stop
 * thaws. */
void clock_test_set(int64_t mono_us, int64_t wall_ms);
void clock_test_advance(int64_t us);
void clock_test_stop(void);

#endif
