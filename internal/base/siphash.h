/* SipHash-c-d (Aumasson, Bernstein): a keyed function of 64 bits for short inputs. 2-4 is one that nobody who
 * lacks the key can tell from chance; 1-3 is enough to keep a hash table from being filled on purpose. Pure.
 * Any thread. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/str.h"

/* `c` rounds for each eight bytes, `d` at the end. */
uint64_t siphash(const uint64_t key[2], struct str data, unsigned c, unsigned d);

#endif
