/* Random bytes from the kernel (getrandom). Fit for secrets. Never fails: an unreadable source aborts. Any
 * thread. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/attr.h"

void rand_bytes(void *out, size_t len);
uint64_t rand_u64(void);
uint32_t rand_below(uint32_t n); /* uniform in [0, n), n > 0 */

#endif
