/* What a point of failure does in the program of tests/crash/fail_points.py: HOLDFAST_FAIL_POINT names a file
 * that holds the name of one and how many times more it is passed, "redeem.begun 3". The last time the
 * process is killed, as by SIGKILL from outside: nothing is written, nothing is closed. Any thread; engines
 * cannot read the file and pass all of them. */
#include "base/fail_point.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const NAMES[] = {
#define FAIL_POINT(id, name) [FAIL_##id] = name,
#include "base/fail_point.def"
};

static void count_down(const char *path, const char *name)
{
    char armed[64] = "";
    int left = 0;
    FILE *file = fopen(path, "r+");
    if (!file)
        return;
    if (fscanf(file, "%63s %d", armed, &left) == 2 && strcmp(armed, name) == 0) {
        rewind(file);
        (void)fprintf(file, "%s %d\n", name, left - 1);
        if (fflush(file) == 0 && left <= 1)
            (void)kill(getpid(), SIGKILL);
    }
    (void)fclose(file); /* a file that cannot be written shows as a point that does not count down */
}

void fail_point_pass(enum fail_point at)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    const char *path = getenv("HOLDFAST_FAIL_POINT");
    if (!path)
        return;
    (void)pthread_mutex_lock(&one_at_a_time);
    count_down(path, NAMES[at]);
    (void)pthread_mutex_unlock(&one_at_a_time);
}
