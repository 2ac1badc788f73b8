/* See fail_point.h. This file holds nothing else: a program with a function of its own does not link it. */
#include "base/fail_point.h"

void fail_point_pass(enum fail_point at)
{
    (void)at; /* it is for the tests' function of this name */
}
