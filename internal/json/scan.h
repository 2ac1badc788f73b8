/* The strict scan in front of cJSON: RFC 8259 to the letter, UTF-8, no raw control characters, no lone
 * surrogates, \u0000 only on demand, at most JSONR_DEPTH_MAX levels, integers within int64. One pass, no
 * memory. Duplicate keys are found later, on decoded names. Any thread. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "base/err.h"
#include "base/str.h"

struct scan_found {
    size_t marks; /* number literals that cJSON would change: see scan_must_mark */
    size_t nuls;  /* \u0000 in texts */
};

/* With `nul_ok` texts may have \u0000; names of members never. ERR_INVALID names the place by pointer (keys
 * as they are written, escapes undecoded) and byte, counted from 1. */
MUST_CHECK enum err_code scan_check(struct str text, bool nul_ok, struct scan_found *ret, struct err *err);

/* Length of the number at the front of `s`, which scan_check has accepted; 0 when it begins with something
 * else. */
size_t scan_number_length(struct str s);
/* True for literals with a fraction or an exponent, and for integers that a double may not hold. */
bool scan_must_mark(struct str number);
bool scan_is_real(struct str number);

#endif
