/* A thread that gives way is reminded of it until it ends. */
#include "base/giveway.h"
#include "lib/unit.h"
#include <errno.h>
#include <sys/select.h>

/* Whether a signal interrupts this thread within that time. */
static bool interrupted(long ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    int got = select(0, NULL, NULL, NULL, &wait);

    assert_true(got == 0 || errno == EINTR);
    return got < 0;
}

void test_giveway__interrupts_between_begin_and_end(void **state)
{
    struct giveway g;

    (void)state;
    for (int i = 0; i < 3; i++) {
        giveway_begin(&g);
        assert_true(g.on);
        for (int n = 0; n < 3; n++)
            assert_true(interrupted(10000));
        giveway_end(&g);
        (void)interrupted(0); /* the last one may be on its way */
        assert_false(interrupted(10));
    }
}
