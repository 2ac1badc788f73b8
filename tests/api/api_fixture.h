/* The whole front in this process, on its own thread, with real engines, over loopback; and a small blocking
 * client. What the sanitizers are to see runs here. */
#ifndef TESTS_API_API_FIXTURE_H
#define TESTS_API_API_FIXTURE_H

#include "api/api.h"
#include "crypto/secret.h"
#include "lib/control_fixture.h"

#include <pthread.h>

struct api_fixture {
    struct control_fixture control;
    struct loop *loop;
    struct workq *workq, *passwords;
    struct supervisor *supervisor;
    struct issuers *issuers; /* none is trusted */
    struct api *api;
    struct http_server *http;
    struct loop_timer stop_timer;
    pthread_t thread;
    uint16_t port;
    bool engines_gone;
    char admin[SECRET_MAX + 1]; /* a token of each kind */
    char readonly[SECRET_MAX + 1];
};

/* A server with namespace acme, database main and two tokens; `timeout_s` is its statement timeout. */
void api_fixture_init(struct api_fixture *fx, int64_t timeout_s);
void api_fixture_release(struct api_fixture *fx); /* drains, as SIGTERM does */

struct answer {
    int status;         /* 0: the connection ended without one */
    struct strbuf text; /* head and body as they came; chunks are joined */
    struct str head, body;
};

/* One connection, many requests. */
struct client {
    int fd;
};
void client_open(struct client *c, const struct api_fixture *fx);
void client_close(struct client *c);
/* Sends a request; `more` holds further header lines, each with its CRLF. `body` ptr NULL: none. */
void client_send(struct client *c, const char *method, const char *path, const char *token, const char *more,
    struct str body);
void client_read(struct client *c, struct answer *a);
void answer_release(struct answer *a);
bool answer_has(const struct answer *a, const char *text); /* in the body */

/* One request over a fresh connection. */
void call(const struct api_fixture *fx, const char *method, const char *path, const char *token,
    struct str body, struct answer *a);
/* POST …/query with a JSON body on database main. */
void query(const struct api_fixture *fx, const char *token, const char *json, struct answer *a);

#define AUTO_ANSWER CLEANUP(answer_release) struct answer

#endif
