/* An engine for tests: a real zygote forks it, sandboxed, over a fresh directory; it is spoken to by frames
 * as the front does. Every wait is bounded. */
#ifndef TESTS_LIB_ENGINE_FIXTURE_H
#define TESTS_LIB_ENGINE_FIXTURE_H

#include "engine/engine.h"
#include "wire/wire.h"
#include <sys/types.h>

struct engine_fixture {
    char dir[200];
    int fd;
    pid_t zygote, pid;
    int zygote_fd, pidfd;
    struct board *board;
    struct strbuf out, in;
    size_t taken; /* bytes of `in` already decoded */
    uint64_t next_id;
    struct arena arena; /* answers live here until the fixture stops */
};

struct engine_answer {
    uint64_t id;
    bool bounced;
    struct wire_reply_head head;
    struct str body;
};

/* Makes the directory and starts a writer; waits for READY. */
void engine_fixture_start(struct engine_fixture *fx);
/* What it used of the processor, which other work on the machine does not lengthen. */
int64_t engine_fixture_cpu_us(const struct engine_fixture *fx);
/* Ends the engine by closing its socket and removes the directory; the engine's wait status. */
int engine_fixture_stop(struct engine_fixture *fx);
/* Ends it (SIGKILL when `kill_it`) and keeps the directory; then starts another over it. */
int engine_fixture_end(struct engine_fixture *fx, bool kill_it);
void engine_fixture_again(struct engine_fixture *fx, enum engine_mode mode);

/* A reader engine over the directory of `writer`, and its end, which leaves the directory alone. */
void engine_fixture_beside(const struct engine_fixture *writer, struct engine_fixture *ret);
int engine_fixture_leave(struct engine_fixture *fx);

/* Step by step: a directory without an engine; an engine forked from the test itself, without a sandbox,
 * whose process calls enter(arg) first (NULL: nothing), false when it ended instead of being ready; the end
 * of a fixture whose engine has ended. */
void engine_fixture_init(struct engine_fixture *fx);
bool engine_fixture_fork(
    struct engine_fixture *fx, const struct engine_config *cfg, void (*enter)(void *), void *arg);
void engine_fixture_release(struct engine_fixture *fx);

/* The zygote alone: a process and its control socket. */
pid_t zygote_fixture_start(int *ret_fd);
int zygote_fixture_stop(pid_t pid, int fd); /* wait status */
/* Asks for an engine; *ret_pidfd is -1 when none came. */
struct zygote_answer zygote_ask(
    int fd, const struct engine_config *cfg, int socket_fd, int board_fd, int *ret_pidfd);
struct zygote_answer zygote_next(int fd); /* what it says by itself */
struct engine_config engine_fixture_config(const char *dir, enum engine_mode mode);

/* A call with the usual values: admin, no scope, 15 s, request id "req_test", token id "tok_test". */
struct wire_call engine_call_new(enum wire_op op, const char *body);
/* Queues frames; engine_send_all writes them with one write, so that they are one turn. */
uint64_t engine_queue(struct engine_fixture *fx, const struct wire_call *call);
void engine_send_all(struct engine_fixture *fx);
bool engine_try_send_all(struct engine_fixture *fx); /* false: the engine has ended */
/* The next whole answer of any call. */
struct engine_answer engine_receive(struct engine_fixture *fx);
bool engine_try_receive(struct engine_fixture *fx, struct engine_answer *ret); /* false: the engine ended */

/* One call, one answer. */
struct engine_answer engine_ask(struct engine_fixture *fx, const struct wire_call *call);
/* POST …/query as admin; `params` is JSON or NULL. */
struct engine_answer engine_sql(struct engine_fixture *fx, const char *sql, const char *params);
struct engine_answer engine_sql_as(struct engine_fixture *fx, enum wire_role role, const char *sql);
/* As above; fails the test unless the status is 200. */
struct str engine_ok(struct engine_fixture *fx, const char *sql);
/* {"sql":…} with the text escaped; arena memory. */
const char *engine_query_body(struct engine_fixture *fx, const char *sql, const char *params);

/* Rows of c(x) without end. */
#define ENGINE_ENDLESS "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "

bool engine_body_has(struct str body, const char *text);
/* Fails the test unless the text is in it, for rows as JSON writes them: "[[1,\"a\"]]". */
void engine_expect(struct str body, const char *text);
void engine_expect_rows(struct engine_fixture *fx, const char *sql, const char *rows);
/* Queue a call, to be sent with others in one turn; its number. */
uint64_t engine_queue_sql(struct engine_fixture *fx, const char *sql);
uint64_t engine_queue_batch(struct engine_fixture *fx, const char *statements, bool transaction);
/* Sends what is queued and collects `count` answers by their place in the queue, from call `first` on. */
void engine_exchange(struct engine_fixture *fx, uint64_t first, size_t count, struct engine_answer *out);

#endif
