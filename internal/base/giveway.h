/* Long computations for which nobody should wait. A thread that is nice gets little of the processor, but
 * what it gets comes as a whole slice of the scheduler's, up to 4 ms, in which nothing else on that core is
 * answered. Between giveway_begin() and giveway_end() the calling thread offers the processor to whoever
 * wants it every GIVEWAY_US; when nobody does, that costs next to nothing. System calls in between may fail
 * with EINTR. Any thread. */
#ifndef BASE_GIVEWAY_H
#define BASE_GIVEWAY_H

#include <stdbool.h>
#include <time.h>

#define GIVEWAY_US 500

struct giveway {
    timer_t timer;
    bool on; /* false when the system has no timer left: then it is as without */
};

void giveway_begin(struct giveway *g);
void giveway_end(struct giveway *g);

#endif
