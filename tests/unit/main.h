/* The table between the generated list of cases and the runner. Include cmocka.h first. */
#ifndef TESTS_UNIT_MAIN_H
#define TESTS_UNIT_MAIN_H

struct unit_group {
    const char *subject;
    struct CMUnitTest *tests;
    size_t count;
    CMFixtureFunction setup;
    CMFixtureFunction teardown;
};

extern struct unit_group unit_groups[]; /* ends with a NULL subject */

#endif
