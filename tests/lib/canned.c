/* See canned.h. */
#include "lib/canned.h"
#include "lib/unit.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_MAX ((size_t)8 << 20)
#define HEAD_MAX  65536

static void must(int rc)
{
    assert_int_equal(rc, 0);
}

static void send_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* whoever asked has heard enough */
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
}

/* false: whoever connected went away without a whole head. */
static bool read_head(int fd, struct strbuf *out)
{
    char bytes[4096];

    while (!out->len || !strstr(strbuf_cstr(out), "\r\n\r\n")) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0 || strbuf_failed(out))
            return false;
        strbuf_add(out, bytes, (size_t)n);
    }
    return true;
}

static void serve(struct canned *c, int fd)
{
    AUTO_STRBUF head, reply;

    strbuf_init(&head, HEAD_MAX);
    strbuf_init(&reply, REPLY_MAX);
    bool whole = read_head(fd, &head);
    must(pthread_mutex_lock(&c->lock));
    bool hold = c->hold && whole;
    strbuf_reset(&c->head);
    strbuf_add_str(&c->head, strbuf_str(&head));
    strbuf_add_str(&reply, strbuf_str(&c->reply));
    must(pthread_mutex_unlock(&c->lock));
    if (whole)
        send_all(fd, strbuf_str(&reply));
    must(pthread_mutex_lock(&c->lock));
    c->answered += whole;
    if (hold) {
        assert_true(c->held_count < CANNED_HELD_MAX);
        c->held[c->held_count++] = fd;
    }
    must(pthread_cond_broadcast(&c->changed));
    must(pthread_mutex_unlock(&c->lock));
    if (!hold)
        (void)close(fd);
}

static void *run(void *arg)
{
    struct canned *c = arg;
    int fd;

    while ((fd = accept(c->fd, NULL, NULL)) >= 0) {
        must(pthread_mutex_lock(&c->lock));
        c->accepted++;
        must(pthread_mutex_unlock(&c->lock));
        serve(c, fd);
    }
    return NULL;
}

void canned_start(struct canned *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;

    *c = (struct canned){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(c->fd >= 0);
    must(bind(c->fd, (struct sockaddr *)&at, sizeof at));
    must(listen(c->fd, 256));
    must(getsockname(c->fd, (struct sockaddr *)&at, &len));
    c->port = ntohs(at.sin_port);
    strbuf_init(&c->reply, REPLY_MAX);
    strbuf_init(&c->head, HEAD_MAX);
    must(pthread_mutex_init(&c->lock, NULL));
    must(pthread_cond_init(&c->changed, NULL));
    must(pthread_create(&c->thread, NULL, run, c));
}

void canned_stop(struct canned *c)
{
    must(shutdown(c->fd, SHUT_RDWR)); /* ends accept() */
    must(pthread_join(c->thread, NULL));
    canned_let_go(c, STR_EMPTY);
    (void)close(c->fd);
    strbuf_release(&c->reply);
    strbuf_release(&c->head);
    must(pthread_cond_destroy(&c->changed));
    must(pthread_mutex_destroy(&c->lock));
}

void canned_answer(struct canned *c, struct str reply, bool hold)
{
    must(pthread_mutex_lock(&c->lock));
    strbuf_reset(&c->reply);
    strbuf_add_str(&c->reply, reply);
    c->hold = hold;
    must(pthread_mutex_unlock(&c->lock));
}

void canned_let_go(struct canned *c, struct str more)
{
    must(pthread_mutex_lock(&c->lock));
    for (unsigned i = 0; i < c->held_count; i++) {
        send_all(c->held[i], more);
        (void)close(c->held[i]);
    }
    c->held_count = 0;
    must(pthread_mutex_unlock(&c->lock));
}

void canned_wait_held(struct canned *c, unsigned count)
{
    must(pthread_mutex_lock(&c->lock));
    while (c->held_count < count)
        must(pthread_cond_wait(&c->changed, &c->lock));
    must(pthread_mutex_unlock(&c->lock));
}

unsigned canned_accepted(struct canned *c)
{
    must(pthread_mutex_lock(&c->lock));
    unsigned accepted = c->accepted;
    must(pthread_mutex_unlock(&c->lock));
    return accepted;
}

void canned_head(struct canned *c, struct strbuf *out)
{
    must(pthread_mutex_lock(&c->lock));
    strbuf_add_str(out, strbuf_str(&c->head));
    must(pthread_mutex_unlock(&c->lock));
}
