/* The way out. Loop thread. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "serve.h"

#include <signal.h>
#include <unistd.h>

#define POLL_US      20000
#define DRAIN_US     25000000 /* for what runs; then it is interrupted */
#define INTERRUPT_US 27000000 /* for what was interrupted; then its engine is told to leave all the same */
#define GIVE_UP_US   33000000 /* for engines to checkpoint; the log of SQLite holds whatever they did not */
#define FLUSH_US     1000000  /* for the last bytes of answers */

static void engines_gone(void *arg)
{
    struct server *s = arg;
    s->engines_gone = true;
    loop_timer_set(&s->stop_timer, 0);
}

static void leave(struct server *s, int status)
{
    s->exit_status = status;
    loop_stop(s->loop);
}

static bool idle(const struct server *s)
{
    return http_server_requests(s->http) == 0 && api_open_requests(s->api) == 0 &&
           workq_depth(s->workq) == 0 && workq_depth(s->passwords) == 0 && workq_depth(s->abroad) == 0;
}

/* Called again and again while the server stops; each time does what is due. */
static void stop_step(void *arg)
{
    struct server *s = arg;
    struct http_stats http;
    int64_t since_us = clock_mono_us() - s->stop_began_us;
    http_server_stats(s->http, &http);
    if (s->engines_gone && idle(s)) {
        if (!s->flush_by_us)
            s->flush_by_us = since_us + FLUSH_US;
        if (http.open == 0 || since_us > s->flush_by_us) {
            leave(s, 0);
            return;
        }
    }
    if (since_us > GIVE_UP_US) {
        log_event(LOG_ERROR, "stop_gave_up", LOG_INT("requests", api_open_requests(s->api)));
        leave(s, 1);
        return;
    }
    if (!s->interrupted && since_us > DRAIN_US) {
        s->interrupted = true;
        log_event(LOG_WARN, "interrupting", LOG_INT("requests", api_open_requests(s->api)));
        api_interrupt(s->api);
    }
    if (!s->shutting_down && (idle(s) || since_us > INTERRUPT_US)) {
        s->shutting_down = true;
        http_server_stop_listening(s->http);
        supervise_shutdown(s->supervisor, engines_gone, s);
    }
    loop_timer_set(&s->stop_timer, POLL_US);
}

static void on_stop(void *arg)
{
    struct server *s = arg;
    if (s->stop_began_us)
        _exit(1); /* told twice: at once, which is as safe as a crash */
    s->stop_began_us = clock_mono_us();
    log_event(LOG_INFO, "stopping", LOG_INT("requests", api_open_requests(s->api)));
    api_drain(s->api);
    serve_trust_close(&s->trust);
    http_server_drain(s->http);
    loop_timer_set(&s->stop_timer, 0);
}

static void on_hangup(void *arg)
{
    struct server *s = arg;
    struct err err = ERR_INIT;
    if (!s->opt->tls_cert)
        return;
    if (http_server_reload_tls(s->http, &err))
        log_event(LOG_ERROR, "tls_reload_failed", LOG_CSTR("error", err.message));
    else
        log_event(LOG_INFO, "tls_reloaded", LOG_CSTR("file", s->opt->tls_cert));
}

void server_on_signals(struct server *s)
{
    loop_timer_init(&s->stop_timer, s->loop, stop_step, s);
    loop_on_signal(s->loop, SIGTERM, on_stop, s);
    loop_on_signal(s->loop, SIGINT, on_stop, s);
    loop_on_signal(s->loop, SIGHUP, on_hangup, s);
}
