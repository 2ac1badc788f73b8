/* How engines come into being: the seam between the supervisor and the zygote. Tests put a starter of their
 * own here.
 *
 * A starter answers every accepted request, in order, through starter_answered() from a callback of the loop
 * (never inside start()), and tells every end of a process the same way; or it tells starter_lost() once and
 * starter_back() later. */
#ifndef SUPERVISE_STARTER_H
#define SUPERVISE_STARTER_H

#include "supervise/supervise.h"
#include "wire/zygote.h"

struct engine_starter {
    /* Copies the descriptors; they stay the caller's. false: not now, ask again when something was answered
     * or came back. */
    bool (*start)(struct engine_starter *st, const struct engine_config *cfg, int sock, int board_fd);
    bool (*alive)(const struct engine_starter *st);
    void (*free)(struct engine_starter *st);
};

/* Takes `pidfd` (-1 with an exit or a failure). */
void starter_answered(struct supervisor *s, const struct zygote_answer *answer, int pidfd);
/* Requests without an answer are void; ends of living engines will not be told. */
void starter_lost(struct supervisor *s);
void starter_back(struct supervisor *s);

/* The production starter: a zygote of `exe` ("/proc/self/exe"). It is started again when it dies. */
struct engine_starter *zygote_starter_new(struct loop *l, struct supervisor *s, const char *exe);

/* supervise_new() with another starter, which `make` creates. */
MUST_CHECK enum err_code supervise_new_with(struct loop *l, const struct supervise_options *opt,
    struct engine_starter *(*make)(struct loop *l, struct supervisor *s), struct supervisor **ret,
    struct err *err);

#endif
