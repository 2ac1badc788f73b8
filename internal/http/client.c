/* See client.h. */
#include "http/client.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/url.h"
#include "http/libcurl.h"

#define CONNECT_MS    10000L
#define TOTAL_MS      120000L /* a rehearsal may take as long as a statement may, and then some */
#define URL_BYTES     4096
#define TOKEN_BYTES   4096
#define HEADER_EXTRAS 64

struct http_client {
    struct libcurl curl;
    CURL *easy;
    struct curl_slist *headers;
    struct strbuf base;
    char *ca_file;
};

struct receiver {
    struct strbuf *out;
    bool too_large;
};

static enum err_code check_options(const struct http_client_options *opt, struct err *err)
{
    struct url url;

    if (opt->base.len > URL_BYTES / 2 || !url_well_spelled(opt->base, &url))
        return err_set(err, ERR_INVALID, "the address must look like https://db.example.com");
    bool plain = opt->token.len <= TOKEN_BYTES;
    for (size_t i = 0; plain && i < opt->token.len; i++)
        plain = opt->token.ptr[i] > ' ' && opt->token.ptr[i] <= '~';
    return plain ? ERR_OK : err_set(err, ERR_INVALID, "the token has characters that no token has");
}

static void add_header(struct http_client *c, const char *text)
{
    struct curl_slist *longer = c->curl.slist_append(c->headers, text);

    CHECK(longer);
    c->headers = longer;
}

static void add_bearer(struct http_client *c, struct str token)
{
    AUTO_STRBUF text;

    strbuf_init(&text, TOKEN_BYTES + HEADER_EXTRAS);
    if (!token.len)
        return;
    strbuf_addf(&text, "Authorization: Bearer " STR_FMT, STR_ARG(token));
    add_header(c, strbuf_cstr(&text));
    mem_wipe(text.buf, text.len);
}

enum err_code http_client_new(
    const struct http_client_options *opt, struct http_client **ret, struct err *err)
{
    struct libcurl curl;
    struct str base = opt->base;
    enum err_code rc = check_options(opt, err);

    if (!rc)
        rc = libcurl_load(&curl, err);
    if (rc)
        return rc;
    struct http_client *c = mem_alloc(sizeof *c);
    c->curl = curl;
    c->easy = curl.easy_init();
    CHECK(c->easy);
    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    strbuf_init(&c->base, URL_BYTES);
    strbuf_add_str(&c->base, base);
    add_bearer(c, opt->token);
    add_header(c, "Accept: application/json");
    add_header(c, "Content-Type: application/json");
    add_header(c, "Expect:"); /* no pause before a large body */
    c->ca_file = opt->ca_file ? mem_strdup(opt->ca_file) : NULL;
    *ret = c;
    return ERR_OK;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    for (struct curl_slist *h = c->headers; h; h = h->next)
        mem_wipe(h->data, strlen(h->data));
    c->curl.easy_cleanup(c->easy);
    c->curl.slist_free_all(c->headers);
    strbuf_release(&c->base);
    mem_free(c->ca_file);
    mem_free(c);
}

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    struct receiver *r = arg;

    strbuf_add(r->out, bytes, size * count);
    r->too_large = strbuf_failed(r->out);
    return r->too_large ? 0 : size * count;
}

#define SET(c, option, value) CHECK((c)->curl.easy_setopt((c)->easy, (option), (value)) == CURLE_OK)

static void set_rules(struct http_client *c)
{
    SET(c, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(c, CURLOPT_FOLLOWLOCATION, 0L);
    SET(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(c, CURLOPT_NOSIGNAL, 1L);
    SET(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    SET(c, CURLOPT_TIMEOUT_MS, TOTAL_MS);
    SET(c, CURLOPT_USERAGENT, "holdfast/" HF_VERSION);
    SET(c, CURLOPT_HTTPHEADER, c->headers);
    SET(c, CURLOPT_WRITEFUNCTION, take);
    if (c->ca_file)
        SET(c, CURLOPT_CAINFO, c->ca_file);
}

static void set_request(struct http_client *c, const char *method, const char *path, struct str body)
{
    AUTO_STRBUF url;

    strbuf_init(&url, URL_BYTES);
    strbuf_addf(&url, "%s%s", strbuf_cstr(&c->base), path);
    CHECK(!strbuf_failed(&url)); /* the base is short, and so are our paths */
    SET(c, CURLOPT_URL, strbuf_cstr(&url));
    if (body.len) {
        SET(c, CURLOPT_POSTFIELDS, body.ptr);
        SET(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    } else {
        SET(c, CURLOPT_HTTPGET, 1L);
    }
    SET(c, CURLOPT_CUSTOMREQUEST, method);
}

enum err_code http_client_send(struct http_client *c, const char *method, const char *path, struct str body,
    struct strbuf *out, int *ret_status, struct err *err)
{
    struct receiver receiver = {.out = out};
    long status = 0;

    set_rules(c);
    set_request(c, method, path, body);
    SET(c, CURLOPT_WRITEDATA, &receiver);
    CURLcode result = c->curl.easy_perform(c->easy);
    if (receiver.too_large)
        return err_set(err, ERR_TOO_LARGE, "the server's answer is larger than %zu bytes", out->limit);
    if (result != CURLE_OK)
        return err_set(err, ERR_UNAVAILABLE, "%s cannot be asked: %s", strbuf_cstr(&c->base),
            c->curl.easy_strerror(result));
    CHECK(c->curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    *ret_status = (int)status;
    return ERR_OK;
}
