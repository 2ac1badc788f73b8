/* `holdfast serve` from its options to its exit status. */
#include "serve.h"

#include "base/check.h"
#include "base/log.h"
#include "cli.h"

#include <signal.h>
#include <stdio.h>

#define URL_MAX 4096

/* The one it listens on. */
static void find_address(struct server *s)
{
    bool v6 = strchr(s->opt->listen.host, ':') != NULL;
    strbuf_init(&s->url, URL_MAX);
    strbuf_addf(&s->url, "%s://%s%s%s:%u", s->opt->tls_cert ? "https" : "http", v6 ? "[" : "",
        s->opt->listen.host, v6 ? "]" : "", http_server_port(s->http));
    CHECK(!strbuf_failed(&s->url));
}

static void use_public_address(struct server *s)
{
    if (!s->opt->public_url)
        return;
    strbuf_reset(&s->url);
    strbuf_add_cstr(&s->url, s->opt->public_url);
}

static void describe_address(struct server *s)
{
    find_address(s);
    (void)printf("listening on %s\n", strbuf_cstr(&s->url));
    (void)fflush(stdout); /* whoever waits for the line reads it through a pipe */
    use_public_address(s);
}

static void ask_for_flush(void *server)
{
    loop_turn_ask(&((struct server *)server)->log_turn);
}

static void flush_log(void *server)
{
    (void)server;
    log_flush();
}

static void run(struct server *s)
{
    server_on_signals(s);
    watchdog_start(&s->watchdog, s->loop, WATCHDOG_BEAT_US);
    describe_address(s);
    server_welcome(s);
    log_event(LOG_INFO, "started", LOG_CSTR("version", HF_VERSION), LOG_STR("url", strbuf_str(&s->url)),
        LOG_CSTR("data", s->data_dir));
    loop_turn_init(&s->log_turn, s->loop, flush_log, s);
    log_gather(ask_for_flush, s);
    loop_run(s->loop);
    log_gather(NULL, NULL);
    loop_turn_release(&s->log_turn);
    watchdog_stop(&s->watchdog);
    loop_timer_release(&s->stop_timer);
    log_event(LOG_INFO, "stopped", LOG_INT("status", s->exit_status));
}

/* What was made on the way is shown all the same: the next start finds a directory in use and cannot. */
static int fail(struct server *s, const struct err *err)
{
    if (s->first_start) {
        find_address(s);
        use_public_address(s);
        server_welcome(s);
    }
    return cli_fail(SERVE_DESCRIBE.name, err);
}

/* Until it is told to stop. */
static int serve(const void *values)
{
    const struct serve_options *opt = values;
    struct server s = {.opt = opt, .lock_fd = -1};
    struct err err = ERR_INIT;
    check_set_context("front");
    log_setup((enum log_level)opt->log_level, (enum log_format)opt->log_format);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that is gone shows as an error of write */
    if (server_start(&s, &err)) {
        s.exit_status = fail(&s, &err);
    } else {
        run(&s);
    }
    server_release(&s);
    return s.exit_status;
}

const struct cli_command CLI_SERVE = {
    .describe = &SERVE_DESCRIBE,
    .values_size = sizeof(struct serve_options),
    .run = serve,
};
