/* The limits of policy/limits.def as constants: LIMIT_BODY_BYTES and so on. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdint.h>

#define LIMIT(name, value, unit, reason) static const int64_t LIMIT_##name __attribute__((unused)) = (value);
#include "limits.def"
#undef LIMIT

#endif
