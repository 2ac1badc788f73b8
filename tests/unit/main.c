/* Runs the cases of one folder of C tests, found by name (table.awk), in a random order.
 * Usage: unit [SUBJECT…]; SEED=n in the environment repeats an order. The last line is "N passed, N failed".
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "engine/engine.h"
#include "lib/fault.h"
#include "main.h"

static struct unit_group *running;
static bool setup_done;

/* cmocka reports a group whose setup failed as zero failures, so that is noted here. */
static int group_setup(void **state)
{
    int status = running->setup ? running->setup(state) : 0;

    setup_done = status == 0;
    return status;
}

static uint64_t random_next(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void shuffle(void *base, size_t count, size_t size, uint64_t *seed)
{
    char *items = base, hold[sizeof(struct CMUnitTest) + sizeof(struct unit_group)];

    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)(random_next(seed) % i);

        memcpy(hold, items + (i - 1) * size, size);
        memmove(items + (i - 1) * size, items + j * size, size);
        memcpy(items + j * size, hold, size);
    }
}

static bool wanted(const char *subject, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], subject) == 0)
            return true;
    }
    return argc == 1;
}

static size_t run_group(struct unit_group *group, uint64_t *seed)
{
    int failed;

    running = group;
    setup_done = false;
    shuffle(group->tests, group->count, sizeof(group->tests[0]), seed);
    failed =
        _cmocka_run_group_tests(group->subject, group->tests, group->count, group_setup, group->teardown);
    return setup_done ? (size_t)failed : group->count;
}

int main(int argc, char **argv)
{
    const char *given = getenv("SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20;
    uint64_t seed = first;
    size_t groups = 0, total = 0, failed = 0;

    fault_seed(first);
    if (argc == 2 && strcmp(argv[1], "zygote") == 0) /* a supervisor under test execs its own binary */
        return zygote_main(ZYGOTE_FD);
    /* Engines are forked from this process, and its threads' arenas would take the address space they are
     * allowed. */
    (void)mallopt(M_ARENA_MAX, 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (unit_groups[groups].subject)
        groups++;
    shuffle(unit_groups, groups, sizeof(unit_groups[0]), &seed);
    for (size_t i = 0; i < groups; i++) {
        if (!wanted(unit_groups[i].subject, argc, argv))
            continue;
        total += unit_groups[i].count;
        failed += run_group(&unit_groups[i], &seed);
    }
    if (total == 0) {
        fprintf(stderr, "no such subject\n");
        return 1;
    }
    printf("seed %llu\n%zu passed, %zu failed\n", (unsigned long long)first, total - failed, failed);
    return failed ? 1 : 0;
}
