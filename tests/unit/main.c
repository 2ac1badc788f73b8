/* Runs the cases of one folder of C tests, found by name (table.awk), in a random order.
 * Usage: unit [SUBJECT…]; SEED=n in the environment repeats an order, SHARD=2/4 takes the second quarter of
 * the subjects, as fits a process of several that share the work. The last line is "N passed, N failed".
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
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
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

/* SHARD=NUMBER/COUNT; the whole without it. Every `count`th subject, so that neighbours by name, which often
 * cost much together, stand apart. */
static struct shard {
    unsigned number, count;
} shard_given(void)
{
    const char *given = getenv("SHARD");
    char *end = NULL;
    struct shard all = {1, 1}, s = {given ? (unsigned)strtoul(given, &end, 10) : 1, 1};

    if (!given || *end != '/')
        return all;
    s.count = (unsigned)strtoul(end + 1, NULL, 10);
    return s.number >= 1 && s.number <= s.count ? s : all;
}

static size_t pick_groups(int argc, char **argv)
{
    struct shard mine = shard_given();
    size_t kept = 0, seen = 0;

    for (size_t i = 0; unit_groups[i].subject; i++) {
        if (wanted(unit_groups[i].subject, argc, argv) && seen++ % mine.count == mine.number - 1)
            unit_groups[kept++] = unit_groups[i];
    }
    return kept;
}

static double seconds_used(void)
{
    struct rusage own, children;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
                    children.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
                    children.ru_stime.tv_usec) /
               1e6;
}

static size_t run_group(struct unit_group *group, uint64_t *seed)
{
    int64_t began = clock_mono_us();
    double used = seconds_used();
    int failed;

    running = group;
    setup_done = false;
    shuffle(group->tests, group->count, sizeof(group->tests[0]), seed);
    failed =
        _cmocka_run_group_tests(group->subject, group->tests, group->count, group_setup, group->teardown);
    printf("[  TIME  ] %s: %.1f s, %.1f s of the processor\n", group->subject,
        (double)(clock_mono_us() - began) / 1e6, seconds_used() - used);
    return setup_done ? (size_t)failed : group->count;
}

int main(int argc, char **argv)
{
    const char *given = getenv("SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20;
    uint64_t seed = first;
    size_t groups, total = 0, failed = 0;

    fault_seed(first);
    if (argc == 2 && strcmp(argv[1], "zygote") == 0) /* a supervisor under test execs its own binary */
        return zygote_main(ZYGOTE_FD);
    /* Engines are forked from this process, and its threads' arenas would take the address space they are
     * allowed. */
    (void)mallopt(M_ARENA_MAX, 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    groups = pick_groups(argc, argv);
    shuffle(unit_groups, groups, sizeof(unit_groups[0]), &seed);
    for (size_t i = 0; i < groups; i++) {
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
