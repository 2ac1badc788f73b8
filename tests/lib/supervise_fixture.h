/* The supervisor over fake engines (fake_engine.h), and calls that remember what happened to them. */
#ifndef TESTS_LIB_SUPERVISE_FIXTURE_H
#define TESTS_LIB_SUPERVISE_FIXTURE_H

#include "base/clock.h"
#include "base/limits.h"
#include "lib/fake_engine.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"

enum { SECOND = 1000000, FAR_US = 60 * SECOND };

struct fixture {
    struct loop *l;
    struct supervisor *s;
    struct loop_timer bound;
    bool timed_out, stopped;
    unsigned open; /* calls without their end */
    struct tmpdir dir;
};

struct tcall {
    struct engine_call call;
    struct fixture *fx;
    struct wire_reply_head head;
    struct strbuf got;
    struct err err;
    int heads, ends;
    size_t pause_after; /* > 0: pauses once that much has come, and stops the loop */
    bool paused;
};

struct supervise_options options(void);
struct fixture *fixture_with(struct supervise_options opt);
/* With a starter of choice. */
struct fixture *fixture_made(
    struct supervise_options opt, struct engine_starter *(*make)(struct loop *l, struct supervisor *s));
/* Runs the loop until somebody stops it: the end of the last open call does. Fails after 20 s. */
void run(struct fixture *fx);
void run_for(struct fixture *fx, int64_t us);
void run_until_sent(struct fixture *fx); /* no call waits in the front any more */
void fixture_stop(struct fixture *fx);   /* shuts the supervisor down */
void fixture_free(struct fixture *fx);
void fixture_on_stopped(void *fixture);

struct tcall tcall(struct fixture *fx, const char *db, const char *body);
void submit(struct tcall *t);
/* Submits and expects a refusal; its retry_after_s. */
int expect_refused(struct tcall *t, enum err_code code);
void expect_answer(struct tcall *t, const char *text);
void expect_failed(struct tcall *t, enum err_code code);
/* One call to its end. */
void expect_call(struct fixture *fx, const char *db, const char *body, const char *text);
void expect_crash(struct fixture *fx, const char *db);
struct supervise_stats stats(struct fixture *fx);

#endif
