/* Named moments at which a test may let the process die: fail_point.def. In the program that is shipped
 * passing one is a call of an empty function, and nothing from outside can make more of it: what kills is
 * another function of this name (tests/crash/fail_point.c), linked into a program of the tests alone. Any
 * thread. */
#ifndef BASE_FAIL_POINT_H
#define BASE_FAIL_POINT_H

enum fail_point {
#define FAIL_POINT(id, name) FAIL_##id,
#include "base/fail_point.def"
#undef FAIL_POINT
    FAIL_POINT_COUNT
};

void fail_point_pass(enum fail_point at);

#endif
