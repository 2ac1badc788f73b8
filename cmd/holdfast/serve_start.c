/* Brings the server up, part by part, and takes it down in the opposite order. */
#define _GNU_SOURCE /* realpath, RLIMIT_CORE and prctl beside strict C */
#include "serve.h"

#include "api/housekeeping.h"
#include "approval/approval.h"
#include "audit/checkpoint.h"
#include "audit/intent.h"
#include "branch/archive.h"
#include "branch/snapshot.h"
#include "base/clock.h"
#include "crypto/keyring.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/sandbox.h"
#include "registry/registry.h"
#include "serve_check.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define PASSWORD_NICE 19 /* hashing waits for whoever else wants the processor */

/* Every connection and every engine needs descriptors; the soft limit of many systems is 1024. Where the hard
 * one is too low as well, fewer clients are served, and the log says so. */
static enum err_code fit_caps(struct server *s, struct err *err)
{
    struct descriptor_caps asked = {
        .connections = (unsigned)s->opt->connections_max, .engines = (unsigned)s->opt->engines_max};
    uint64_t allowed = 0;
    s->caps = asked;
    enum err_code rc = descriptors_raise(&s->caps, &allowed, err);
    if (!rc && (s->caps.connections < asked.connections || s->caps.engines < asked.engines))
        log_event(LOG_WARN, "caps_lowered", LOG_INT("open_files", allowed),
            LOG_INT("needed", descriptors_needed(&asked)), LOG_INT("connections", s->caps.connections),
            LOG_INT("engines", s->caps.engines), LOG_CSTR("advice", "raise LimitNOFILE= or ulimit -Hn"));
    return rc;
}

/* Memory holds tokens and passwords for moments: no core file may keep them. Sanitizers need to look at the
 * process. */
static void forbid_core_files(void)
{
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering a limit cannot fail */
#ifndef HF_DEBUG
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* as above, where core files are piped to a program */
#endif
}

/* So that whoever keeps the log elsewhere can tell a roll-back. */
static void tell_checkpoint(const struct audit_head *head)
{
    char text[AUDIT_HEAD_SIZE];

    audit_head_text(head, text);
    log_event(LOG_INFO, "audit_signed", LOG_CSTR("checkpoint", text));
}

/* A roll-back may be a backup that was put back: it is recorded and told, and the server goes on. */
static enum err_code begin_audit(struct server *s, struct db *db, struct err *err)
{
    char known[AUDIT_HEAD_SIZE], newest[AUDIT_HEAD_SIZE];
    struct audit_start start;
    enum err_code rc = audit_begin(db, s->data_dir, &start, err);

    if (rc)
        return rc;
    tell_checkpoint(&start.head);
    if (!start.rolled_back)
        return ERR_OK;
    audit_head_text(&start.known, known);
    audit_head_text(&start.newest, newest);
    log_event(LOG_ERROR, "audit_rolled_back", LOG_CSTR("signed", known), LOG_CSTR("control_db_has", newest));
    return ERR_OK;
}

static enum err_code open_control(struct server *s, struct err *err)
{
    struct db *db = NULL;
    struct registry_recovery found;
    int64_t unknown = 0;
    struct registry_disk disk = {.data_dir = s->data_dir};
    enum err_code rc = control_open(s->data_dir, CONTROL_MIGRATE, &s->control, err);
    if (rc)
        return rc;
    s->control_open = true;
    rc = control_connect(&s->control, DB_WRITE, &db, err);
    if (!rc)
        rc = registry_recover(db, &disk, &found, err);
    if (!rc)
        rc = snapshot_clean(db, s->data_dir, clock_wall_ms(), err);
    if (!rc)
        rc = archive_clean(db, s->data_dir, true, err);
    if (!rc)
        rc = begin_audit(s, db, err);
    if (!rc)
        rc = approval_doubt_left(db, err);
    if (!rc)
        rc = audit_settle_left(db, &unknown, err);
    if (!rc)
        rc = keyring_rotate(s->data_dir, clock_wall_ms(), err);
    db_close(db);
    if (!rc && unknown)
        log_event(LOG_WARN, "audit_unknown", LOG_INT("changes", unknown));
    if (!rc && found.finished + found.failed)
        log_event(found.failed ? LOG_WARN : LOG_INFO, "recovered", LOG_INT("finished", found.finished),
            LOG_INT("failed", found.failed), LOG_CSTR("error", found.first.message));
    return rc;
}

/* A directory in use is locked before anything else is tried: who starts a second server is to hear of the
 * first. One that is to be made stays unmade until nothing but it is missing. */
static enum err_code look_at_data(struct server *s, enum bootstrap_state *ret, struct err *err)
{
    enum err_code rc = bootstrap_look(s->opt->data, ret, err);
    if (!rc && *ret == BOOTSTRAP_FOREIGN)
        rc = err_set(err, ERR_CONFLICT,
            "%s holds other files and no control database; give an empty directory", s->opt->data);
    return !rc && *ret == BOOTSTRAP_READY ? bootstrap_lock(s->opt->data, &s->lock_fd, err) : rc;
}

static enum err_code open_data(struct server *s, struct err *err)
{
    enum bootstrap_state state; /* anew: another process may have made it by now */
    enum err_code rc = s->lock_fd >= 0 ? ERR_OK : bootstrap_lock(s->opt->data, &s->lock_fd, err);
    if (!rc)
        rc = bootstrap_look(s->opt->data, &state, err);
    if (rc)
        return rc;
    char *absolute = realpath(s->opt->data, s->data_dir);
    if (!absolute)
        return err_errno(err, ERR_IO, "Finding the data directory");
    if (state == BOOTSTRAP_EMPTY)
        rc = server_first_start(s, err);
    if (!rc)
        rc = open_control(s, err);
    return rc ? rc : housekeeping_clean(s->data_dir, err);
}

/* SQL of strangers runs behind walls or not at all. */
static enum err_code check_sandbox(const struct server *s, struct err *err)
{
    struct sandbox sb;
    struct err why = ERR_INIT;
    if (s->opt->insecure_no_sandbox) {
        log_event(LOG_WARN, "no_sandbox", LOG_CSTR("why", "--insecure-no-sandbox"));
        return ERR_OK;
    }
    enum err_code rc = sandbox_prepare(&sb, &why);
    if (rc)
        return err_set(err, rc, "%s; `holdfast doctor` says more, --insecure-no-sandbox serves all the same",
            why.message);
    sandbox_release(&sb);
    return ERR_OK;
}

static enum err_code start_supervisor(struct server *s, struct err *err)
{
    struct supervise_options opt = {.data_dir = s->data_dir,
        .idle_us = s->opt->engine_idle_s * 1000000,
        .undo_kept_ms = s->opt->undo_kept_s * 1000,
        .kill_grace_us = LIMIT_KILL_GRACE_MS * 1000,
        .engines_max = s->caps.engines,
        .calls_per_db_max = (unsigned)LIMIT_CALLS_PER_DB,
        .readers_max = (unsigned)LIMIT_READERS_PER_DB,
        .no_sandbox = s->opt->insecure_no_sandbox,
        .db_bytes_max = (uint64_t)s->opt->database_bytes_max,
        .cost_request_nano = s->opt->cost_request_nano,
        .cost_read_nano = s->opt->cost_read_nano,
        .cost_write_nano = s->opt->cost_write_nano};
    return supervise_new(s->loop, &opt, &s->supervisor, err);
}

static enum err_code start_api(struct server *s, struct err *err)
{
    struct api_options opt = {.loop = s->loop,
        .workq = s->workq,
        .workers = (unsigned)s->opt->workers,
        .passwords = s->passwords,
        .password_workers = (unsigned)LIMIT_PASSWORD_SLOTS,
        .abroad = s->abroad,
        .abroad_workers = (unsigned)LIMIT_ABROAD_SLOTS,
        .self_signup = &s->self_signup,
        .signup = (enum api_signup)s->opt->signup,
        .https = s->opt->tls_cert != NULL,
        .supervisor = s->supervisor,
        .issuers = s->trust.issuers,
        .courier = s->trust.courier,
        .control = &s->control,
        .data_dir = s->data_dir,
        .public_url = s->opt->public_url ? s->opt->public_url : "",
        .statement_timeout_us = s->opt->statement_timeout_s * 1000000,
        .disk_low_bytes = LIMIT_DISK_LOW_BYTES};
    return api_new(&opt, &s->api, err);
}

static enum err_code start_http(struct server *s, struct err *err)
{
    struct http_options opt = {.host = s->opt->listen.host,
        .port = s->opt->listen.port,
        .tls_cert = s->opt->tls_cert,
        .tls_key = s->opt->tls_key,
        .cors_origins = s->opt->cors_origins,
        .trusted_proxies = s->opt->trusted_proxies,
        .connections_max = s->caps.connections,
        .connections_per_ip_max = (unsigned)s->opt->connections_per_ip,
        .head_max = (size_t)LIMIT_HEAD_BYTES,
        .body_max = (size_t)LIMIT_BODY_BYTES,
        .body_rule = api_body_rule,
        .on_request = api_on_request};
    enum err_code rc = http_server_new(s->loop, &opt, &s->http, err);
    return rc ? serve_explain(s->opt, rc, err) : ERR_OK;
}

static enum err_code read_self_signup(struct server *s, struct err *err)
{
    const struct option_list *list = &s->opt->self_signup;
    struct err why = ERR_INIT;
    enum err_code rc = signup_parse(list->items, list->count, s->trust.issuers, &s->self_signup, &why);

    return rc ? err_set(err, rc, "--self-signup: %s", why.message) : ERR_OK;
}

/* All that options can be wrong about, the address that is taken above all, so that a first start that cannot
 * serve leaves no directory behind whose password nobody was shown. */
static enum err_code check_all(struct server *s, struct err *err)
{
    enum bootstrap_state state;
    enum err_code rc = serve_check(s->opt, err);
    if (!rc)
        rc = serve_trust_start(&s->trust, s->opt, err);
    if (!rc)
        rc = read_self_signup(s, err);
    if (!rc)
        rc = fit_caps(s, err);
    if (!rc)
        rc = check_sandbox(s, err);
    if (!rc)
        rc = look_at_data(s, &state, err);
    if (!rc)
        rc = loop_new(&s->loop, err);
    return rc ? rc : start_http(s, err);
}

enum err_code server_start(struct server *s, struct err *err)
{
    struct workq_options workers = {
        .threads = (unsigned)s->opt->workers, .queue_max = (unsigned)LIMIT_WORKER_QUEUE};
    struct workq_options pool = {.threads = (unsigned)LIMIT_PASSWORD_SLOTS,
        .queue_max = (unsigned)LIMIT_PASSWORD_QUEUE,
        .nice = PASSWORD_NICE};
    struct workq_options abroad = {
        .threads = (unsigned)LIMIT_ABROAD_SLOTS, .queue_max = (unsigned)LIMIT_ABROAD_QUEUE};
    forbid_core_files();
    enum err_code rc = check_all(s, err);
    if (!rc)
        rc = open_data(s, err);
    if (!rc)
        rc = start_supervisor(s, err);
    if (!rc)
        rc = workq_new(&workers, &s->workq, err);
    if (!rc)
        rc = workq_new(&pool, &s->passwords, err);
    if (!rc)
        rc = workq_new(&abroad, &s->abroad, err);
    if (!rc)
        rc = start_api(s, err);
    if (rc)
        return rc;
    api_set_server(s->api, s->http);
    http_server_set_arg(s->http, s->api);
    return ERR_OK;
}

/* So that what is copied while the server is down is signed whole. */
static void end_audit(const struct server *s)
{
    struct audit_head head;
    struct err err = ERR_INIT;
    struct db *db = NULL;
    enum err_code rc = control_connect(&s->control, DB_WRITE, &db, &err);

    if (!rc)
        rc = audit_sign(db, s->data_dir, INT64_MAX, AUDIT_SIGN_ALL, &head, &err);
    if (rc)
        log_event(LOG_ERROR, "audit_sign_failed", LOG_CSTR("error", err.message));
    else
        tell_checkpoint(&head);
    db_close(db);
}

void server_release(struct server *s)
{
    if (s->http)
        http_server_free(s->http);
    serve_trust_close(&s->trust); /* a worker may wait for it */
    if (s->workq)
        workq_free(s->workq);
    workq_free(s->passwords);
    workq_free(s->abroad);
    api_free(s->api);
    serve_trust_release(&s->trust);
    if (s->supervisor)
        supervise_free(s->supervisor);
    if (s->loop)
        loop_free(s->loop);
    if (s->control_open && s->api)
        end_audit(s);
    if (s->control_open)
        control_close(&s->control);
    fd_close(&s->lock_fd);
    strbuf_release(&s->url);
    secret_release(&s->made.token);
    secret_release(&s->password);
}
