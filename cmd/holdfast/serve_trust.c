/* See serve_trust.h. */
#include "serve_trust.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/url.h"

#define US_PER_MS 1000

/* What is logged of an address: nothing behind a question mark. */
static struct str without_query(struct str url)
{
    struct str rest = url, part;
    return str_cut(&rest, '?', &part) ? part : url;
}

static enum err_code expect_ok(struct str url, int status, struct err *err)
{
    struct url parts;
    struct str host = url_split(url, &parts) ? parts.host : STR_EMPTY;

    if (status == 200)
        return ERR_OK;
    return err_set(err, ERR_UNAVAILABLE, STR_FMT " answered with the status %d%s", STR_ARG(host), status,
        status / 100 == 3 ? ", a redirect, which is not followed" : "");
}

static enum err_code get(
    void *trust, struct str url, size_t max, struct strbuf *out, int64_t *ret_max_age_s, struct err *err)
{
    struct serve_trust *t = trust;
    struct courier_request req = {url, "application/json", LIMIT_ISSUER_FETCH_MS};
    struct courier_reply reply = {.body = out};
    struct err why = ERR_INIT;
    int64_t begun_us = clock_mono_us();

    out->limit = max < out->limit ? max : out->limit;
    enum err_code rc = courier_get(t->courier, &req, &reply, &why);
    if (!rc)
        rc = expect_ok(url, reply.status, &why);
    log_event(rc ? LOG_WARN : LOG_INFO, "outgoing", LOG_CSTR("method", "GET"),
        LOG_STR("url", without_query(url)), LOG_INT("status", reply.status),
        LOG_INT("ms", (clock_mono_us() - begun_us) / US_PER_MS), LOG_CSTR("error", why.message));
    *ret_max_age_s = reply.max_age_s;
    return rc ? err_set(err, rc, "%s", why.message) : ERR_OK;
}

static enum err_code start_courier(struct serve_trust *t, const char *ca_file, struct err *err)
{
    struct str origins[OPTION_LIST_MAX];
    struct courier_options opt = {origins, issuers_count(t->issuers), ca_file};

    for (size_t i = 0; i < opt.origin_count; i++)
        origins[i] = issuers_url(t->issuers, i);
    return courier_new(&opt, &t->courier, err);
}

enum err_code serve_trust_start(struct serve_trust *t, const struct serve_options *opt, struct err *err)
{
    const struct option_list *list = &opt->trust_issuers;
    struct err why = ERR_INIT;

    t->fetch = (struct issuer_fetch){get, t};
    enum err_code rc = issuers_new(list->items, list->count, &t->fetch, &t->issuers, &why);
    if (rc)
        return err_set(err, rc, "--trust-issuer: %s", why.message);
    return list->count ? start_courier(t, opt->ca_file, err) : ERR_OK;
}

void serve_trust_close(struct serve_trust *t)
{
    courier_close(t->courier);
}

void serve_trust_release(struct serve_trust *t)
{
    issuers_free(t->issuers);
    courier_free(t->courier);
}
