/* See courier.h. A call makes its transfer, puts it into the queue and waits; the thread moves it, and gives
 * it back. A transfer belongs to the thread from the queue until `done`. */
#include "http/courier.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/url.h"
#include "http/destination.h"
#include "http/libcurl.h"
#include <pthread.h>
#include <sys/socket.h>

#define US_PER_MS 1000
#define IDLE_MS   60000 /* the thread is woken for whatever happens */
#define AGE_MAX_S INT64_C(315360000)

struct courier {
    struct libcurl curl;
    CURLM *multi;
    pthread_t thread;
    char *ca_file;
    struct strbuf texts; /* of the origins */
    struct url *origins;
    size_t origin_count;
    pthread_mutex_t lock;
    /* Below: under the lock. */
    struct list waiting; /* of struct transfer */
    unsigned waiting_count;
    bool closing;
    struct courier_stats stats;
    /* The thread's. */
    struct list running;
};

struct transfer {
    struct list node;
    const struct courier *c;
    const struct courier_request *req;
    struct courier_reply *reply;
    CURL *easy;
    struct curl_slist *headers;
    int64_t begun_us, deadline_us;
    size_t head_bytes;
    bool listed; /* the operator named this origin */
    bool forbidden, too_large;
    enum courier_outcome outcome;
    CURLcode result;
    pthread_cond_t ended; /* with the courier's lock */
    bool done;
};

/* --- What a transfer may do --- */

static bool is_listed(const struct courier *c, const struct url *url)
{
    for (size_t i = 0; i < c->origin_count; i++)
        if (url_same_origin(&c->origins[i], url))
            return true;
    return false;
}

/* For each address that libcurl wants to try. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    enum destination to = destination_of_socket(&address->addr);

    if (purpose != CURLSOCKTYPE_IPCXN || to == DESTINATION_NEVER ||
        (to == DESTINATION_PRIVATE && !t->listed)) {
        t->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    strbuf_add(t->reply->body, bytes, size * count);
    t->too_large = strbuf_failed(t->reply->body);
    return t->too_large ? 0 : size * count;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    (void)bytes; /* libcurl keeps them, for header_of() */
    t->head_bytes += size * count;
    t->too_large = t->head_bytes > (size_t)LIMIT_COURIER_HEAD_BYTES;
    return t->too_large ? 0 : size * count;
}

#define SET(t, option, value) CHECK((t)->c->curl.easy_setopt((t)->easy, (option), (value)) == CURLE_OK)

static void set_rules(struct transfer *t)
{
    SET(t, CURLOPT_PROTOCOLS_STR, t->listed ? "http,https" : "https");
    SET(t, CURLOPT_FOLLOWLOCATION, 0L);
    SET(t, CURLOPT_PROXY, ""); /* and none of the environment's */
    SET(t, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(t, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(t, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(t, CURLOPT_FORBID_REUSE, 1L); /* each connection is judged anew */
    SET(t, CURLOPT_NOSIGNAL, 1L);
    SET(t, CURLOPT_QUICK_EXIT, 1L); /* a slow look-up of a name holds nobody up */
    SET(t, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(t, CURLOPT_OPENSOCKETDATA, t);
    if (t->c->ca_file)
        SET(t, CURLOPT_CAINFO, t->c->ca_file);
}

static void set_bounds(struct transfer *t)
{
    SET(t, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_COURIER_CONNECT_MS);
    SET(t, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->reply->body->limit);
    SET(t, CURLOPT_WRITEFUNCTION, take_body);
    SET(t, CURLOPT_WRITEDATA, t);
    SET(t, CURLOPT_HEADERFUNCTION, take_header);
    SET(t, CURLOPT_HEADERDATA, t);
}

static void set_request(struct transfer *t)
{
    AUTO_STRBUF text;

    strbuf_init(&text, t->req->url.len + (size_t)LIMIT_COURIER_HEAD_BYTES);
    strbuf_add_str(&text, t->req->url);
    SET(t, CURLOPT_URL, strbuf_cstr(&text)); /* copies it */
    strbuf_reset(&text);
    strbuf_addf(&text, "Accept: %s", t->req->accept);
    t->headers = t->c->curl.slist_append(NULL, strbuf_cstr(&text));
    CHECK(t->headers && !strbuf_failed(&text));
    SET(t, CURLOPT_HTTPHEADER, t->headers);
    SET(t, CURLOPT_USERAGENT, "Holdfast/" HF_VERSION);
    SET(t, CURLOPT_PRIVATE, t);
}

static void transfer_init(struct transfer *t)
{
    int64_t ms = t->req->timeout_ms ? t->req->timeout_ms : LIMIT_COURIER_TOTAL_MS;

    list_init(&t->node);
    t->begun_us = clock_mono_us();
    t->deadline_us = t->begun_us + ms * US_PER_MS;
    t->easy = t->c->curl.easy_init();
    CHECK(t->easy && pthread_cond_init(&t->ended, NULL) == 0);
    set_rules(t);
    set_bounds(t);
    set_request(t);
}

static void transfer_release(struct transfer *t)
{
    t->c->curl.easy_cleanup(t->easy);
    t->c->curl.slist_free_all(t->headers);
    CHECK(pthread_cond_destroy(&t->ended) == 0);
}

/* --- How it went --- */

static const char *const NAMES[] = {
#define COURIER_OUTCOME(name, label) [COURIER_##name] = (label),
#include "http/courier_outcomes.def"
#undef COURIER_OUTCOME
};

const char *courier_outcome_name(enum courier_outcome outcome)
{
    CHECK(outcome < COURIER_OUTCOME_COUNT);
    return NAMES[outcome];
}

static enum courier_outcome outcome_of(const struct transfer *t)
{
    switch (t->result) {
    case CURLE_OK: return t->reply->status / 100 == 2 ? COURIER_ANSWERED : COURIER_STATUS;
    case CURLE_OPERATION_TIMEDOUT: return COURIER_TIMEOUT;
    case CURLE_FILESIZE_EXCEEDED: return COURIER_TOO_LARGE;
    case CURLE_WRITE_ERROR: return t->too_large ? COURIER_TOO_LARGE : COURIER_PROTOCOL;
    case CURLE_COULDNT_RESOLVE_HOST: return COURIER_CONNECT;
    case CURLE_COULDNT_CONNECT: return t->forbidden ? COURIER_FORBIDDEN : COURIER_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return COURIER_TLS;
    default: return COURIER_PROTOCOL;
    }
}

/* "max-age=N" of a header "public, max-age=N"; -1 none. */
static int64_t max_age(struct str header)
{
    struct str part;
    int64_t seconds = -1;

    while (str_cut(&header, ',', &part)) {
        part = str_trim(part);
        if (str_eq_nocase(part, S("no-store")) || str_eq_nocase(part, S("no-cache")))
            return 0;
        if (str_starts_nocase(part, S("max-age=")) &&
            !str_to_i64(str_slice(part, strlen("max-age="), part.len), 0, AGE_MAX_S, &seconds))
            seconds = -1;
    }
    return seconds;
}

static struct str header_of(const struct transfer *t, const char *name)
{
    struct curl_header *found;
    return t->c->curl.easy_header(t->easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK
               ? str_of(found->value)
               : STR_EMPTY;
}

static void read_answer(struct transfer *t)
{
    int64_t age;
    long status = 0;

    CHECK(t->c->curl.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    t->reply->status = (int)status;
    t->reply->max_age_s = max_age(header_of(t, "Cache-Control"));
    if (t->reply->max_age_s > 0 && str_to_i64(header_of(t, "Age"), 0, AGE_MAX_S, &age))
        t->reply->max_age_s = age < t->reply->max_age_s ? t->reply->max_age_s - age : 0;
}

static enum err_code say(const struct transfer *t, const struct url *url, struct err *err)
{
    struct str host = url->host;

    switch (t->outcome) {
    case COURIER_ANSWERED:
    case COURIER_STATUS: return ERR_OK;
    case COURIER_FORBIDDEN:
        return err_set(err, ERR_FORBIDDEN,
            "the address of " STR_FMT " is not on the public internet, and the operator did not list it",
            STR_ARG(host));
    case COURIER_TIMEOUT:
        return err_set(err, ERR_UNAVAILABLE, STR_FMT " did not answer in time", STR_ARG(host));
    case COURIER_TOO_LARGE:
        return err_set(err, ERR_TOO_LARGE, "the answer of " STR_FMT " is larger than %zu bytes",
            STR_ARG(host), t->reply->body->limit);
    case COURIER_STOPPED: return err_set(err, ERR_UNAVAILABLE, "the server is stopping");
    default:
        return err_set(err, ERR_UNAVAILABLE, STR_FMT " cannot be asked: %s", STR_ARG(host),
            t->c->curl.easy_strerror(t->result));
    }
}

/* --- The thread --- */

/* Gives the transfer back to its caller. Under the lock. */
static void finish(struct courier *c, struct transfer *t, enum courier_outcome outcome)
{
    list_remove(&t->node);
    t->outcome = outcome;
    t->done = true;
    c->stats.ended[outcome]++;
    metrics_observe(&c->stats.took, clock_mono_us() - t->begun_us);
    CHECK(pthread_cond_signal(&t->ended) == 0);
}

static void start(struct courier *c, struct transfer *t)
{
    int64_t left_ms = (t->deadline_us - clock_mono_us()) / US_PER_MS;

    list_remove(&t->node);
    c->waiting_count--;
    if (left_ms <= 0) {
        finish(c, t, COURIER_TIMEOUT);
        return;
    }
    SET(t, CURLOPT_TIMEOUT_MS, (long)left_ms);
    CHECK(c->curl.multi_add_handle(c->multi, t->easy) == CURLM_OK);
    list_push_back(&c->running, &t->node);
    c->stats.running++;
}

static void start_waiting(struct courier *c)
{
    while (!list_empty(&c->waiting) && c->stats.running < (unsigned)LIMIT_COURIER_PARALLEL)
        start(c, LIST_FIRST(&c->waiting, struct transfer, node));
}

static void stop_running(struct courier *c, struct transfer *t, enum courier_outcome outcome)
{
    CHECK(c->curl.multi_remove_handle(c->multi, t->easy) == CURLM_OK);
    c->stats.running--;
    finish(c, t, outcome);
}

static void end_all(struct courier *c)
{
    while (!list_empty(&c->running))
        stop_running(c, LIST_FIRST(&c->running, struct transfer, node), COURIER_STOPPED);
    while (!list_empty(&c->waiting)) {
        c->waiting_count--;
        finish(c, LIST_FIRST(&c->waiting, struct transfer, node), COURIER_STOPPED);
    }
}

static void collect(struct courier *c)
{
    const CURLMsg *msg;
    char *of;
    int left;

    while ((msg = c->curl.multi_info_read(c->multi, &left))) {
        CHECK(msg->msg == CURLMSG_DONE);
        CHECK(c->curl.easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &of) == CURLE_OK);
        struct transfer *t = (struct transfer *)(void *)of;
        t->result = msg->data.result;
        read_answer(t);
        stop_running(c, t, outcome_of(t));
    }
}

static void *deliver(void *arg)
{
    struct courier *c = arg;
    int moving;

    CHECK(pthread_mutex_lock(&c->lock) == 0);
    while (!c->closing) {
        start_waiting(c);
        CHECK(pthread_mutex_unlock(&c->lock) == 0);
        CHECK(c->curl.multi_perform(c->multi, &moving) == CURLM_OK);
        CHECK(pthread_mutex_lock(&c->lock) == 0);
        collect(c);
        if (!list_empty(&c->waiting) && c->stats.running < (unsigned)LIMIT_COURIER_PARALLEL)
            continue;
        CHECK(pthread_mutex_unlock(&c->lock) == 0);
        CHECK(c->curl.multi_poll(c->multi, NULL, 0, IDLE_MS, NULL) == CURLM_OK);
        CHECK(pthread_mutex_lock(&c->lock) == 0);
    }
    end_all(c);
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
    return NULL;
}

/* --- What others call --- */

static enum err_code copy_origins(struct courier *c, const struct courier_options *opt, struct err *err)
{
    size_t bytes = 1, at = 0;

    for (size_t i = 0; i < opt->origin_count; i++)
        bytes += opt->origins[i].len;
    strbuf_init(&c->texts, bytes);
    for (size_t i = 0; i < opt->origin_count; i++)
        strbuf_add_str(&c->texts, opt->origins[i]);
    c->origins = mem_array(opt->origin_count + 1, sizeof *c->origins);
    for (; c->origin_count < opt->origin_count; c->origin_count++) {
        struct str text = {strbuf_cstr(&c->texts) + at, opt->origins[c->origin_count].len};
        if (!url_well_spelled(text, &c->origins[c->origin_count]))
            return err_set(err, ERR_INVALID, "\"" STR_FMT "\" is no URL", STR_ARG(text));
        at += text.len;
    }
    return ERR_OK;
}

static void release(struct courier *c)
{
    if (c->multi)
        (void)c->curl.multi_cleanup(c->multi); /* no handle is left in it */
    strbuf_release(&c->texts);
    mem_free(c->origins);
    mem_free(c->ca_file);
    mem_free(c);
}

enum err_code courier_new(const struct courier_options *opt, struct courier **ret, struct err *err)
{
    struct courier *c = MEM_NEW(struct courier);
    enum err_code rc = copy_origins(c, opt, err);

    if (!rc)
        rc = libcurl_load(&c->curl, err);
    if (rc) {
        release(c);
        return rc;
    }
    c->ca_file = opt->ca_file ? mem_strdup(opt->ca_file) : NULL;
    list_init(&c->waiting);
    list_init(&c->running);
    c->multi = c->curl.multi_init();
    CHECK(c->multi && pthread_mutex_init(&c->lock, NULL) == 0);
    CHECK(pthread_create(&c->thread, NULL, deliver, c) == 0);
    *ret = c;
    return ERR_OK;
}

void courier_close(struct courier *c)
{
    if (!c)
        return;
    CHECK(pthread_mutex_lock(&c->lock) == 0);
    c->closing = true;
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
    CHECK(c->curl.multi_wakeup(c->multi) == CURLM_OK);
}

void courier_free(struct courier *c)
{
    if (!c)
        return;
    courier_close(c);
    CHECK(pthread_join(c->thread, NULL) == 0);
    CHECK(list_empty(&c->running) && list_empty(&c->waiting));
    CHECK(pthread_mutex_destroy(&c->lock) == 0);
    release(c);
}

void courier_stats(struct courier *c, struct courier_stats *ret)
{
    *ret = (struct courier_stats){.running = 0};
    if (!c)
        return;
    CHECK(pthread_mutex_lock(&c->lock) == 0);
    *ret = c->stats;
    ret->waiting = c->waiting_count;
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
}

/* Hands it to the thread and waits until it is back. */
static enum err_code send_and_wait(struct courier *c, struct transfer *t, struct err *err)
{
    enum err_code rc = ERR_OK;

    CHECK(pthread_mutex_lock(&c->lock) == 0);
    if (c->closing) {
        c->stats.ended[t->outcome = COURIER_STOPPED]++;
    } else if (c->waiting_count >= (unsigned)LIMIT_COURIER_QUEUE) {
        rc = err_set(err, ERR_BUSY, "too many requests to other servers are waiting");
    } else {
        list_push_back(&c->waiting, &t->node);
        c->waiting_count++;
        CHECK(c->curl.multi_wakeup(c->multi) == CURLM_OK);
        while (!t->done)
            CHECK(pthread_cond_wait(&t->ended, &c->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
    return rc;
}

static enum err_code forbid(struct courier *c, struct err *err)
{
    CHECK(pthread_mutex_lock(&c->lock) == 0);
    c->stats.ended[COURIER_FORBIDDEN]++;
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
    return err_set(err, ERR_FORBIDDEN, "plain http is for origins alone that the operator listed");
}

enum err_code courier_get(
    struct courier *c, const struct courier_request *req, struct courier_reply *ret, struct err *err)
{
    struct transfer t = {.c = c, .req = req, .reply = ret};
    struct url url;

    ret->status = 0;
    ret->max_age_s = -1;
    if (!url_well_spelled(req->url, &url))
        return err_set(err, ERR_INVALID, "this is no URL that could be asked");
    t.listed = is_listed(c, &url);
    if (!url.tls && !t.listed)
        return forbid(c, err);
    transfer_init(&t);
    enum err_code rc = send_and_wait(c, &t, err);
    transfer_release(&t);
    return rc ? rc : say(&t, &url, err);
}
