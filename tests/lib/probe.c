/* See probe.h. */
#include "lib/probe.h"
#include "base/check.h"
#include "base/mem.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 10000, READ_BYTES = 64 << 10, WINDOW_BYTES = 128 << 10 };

static bool open_with(struct probe *c, uint16_t port, int window_bytes)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    *c = (struct probe){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(c->fd >= 0);
    strbuf_init(&c->in, (size_t)1 << 30);
    CHECK(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    if (window_bytes > 0)
        CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window_bytes, sizeof window_bytes) == 0);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0)
        return true;
    probe_close(c);
    return false;
}

bool probe_open(struct probe *c, uint16_t port)
{
    return open_with(c, port, 0);
}

bool probe_open_narrow(struct probe *c, uint16_t port)
{
    return open_with(c, port, WINDOW_BYTES);
}

bool probe_open_tls(struct probe *c, uint16_t port)
{
    if (!probe_open(c, port))
        return false;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    CHECK(ssl && SSL_set_fd(ssl, c->fd) == 1);
    SSL_CTX_free(ctx);
    c->tls = ssl;
    return SSL_connect(ssl) == 1;
}

void probe_close(struct probe *c)
{
    SSL_free(c->tls);
    c->tls = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    strbuf_release(&c->in);
}

void probe_abort(struct probe *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    probe_close(c);
}

bool probe_send(struct probe *c, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = c->tls ? SSL_write(c->tls, bytes.ptr, (int)bytes.len)
                           : send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes = str_slice(bytes, (size_t)n, bytes.len);
    }
    return true;
}

bool probe_send_bytewise(struct probe *c, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (!probe_send(c, str_slice(bytes, i, i + 1)))
            return false;
    }
    return true;
}

void probe_end(struct probe *c)
{
    if (c->tls)
        (void)SSL_shutdown(c->tls);
    (void)shutdown(c->fd, SHUT_WR); /* the server may be gone already */
}

bool probe_wait(struct probe *c, int ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    return (c->tls && SSL_pending(c->tls) > 0) || poll(&p, 1, ms) > 0;
}

bool probe_more(struct probe *c)
{
    if (!probe_wait(c, WAIT_MS)) {
        c->reset = true;
        return false;
    }
    char *to = strbuf_reserve(&c->in, READ_BYTES);
    CHECK(to);
    ssize_t n = c->tls ? SSL_read(c->tls, to, READ_BYTES) : recv(c->fd, to, READ_BYTES, 0);
    c->reset = n < 0 && !(c->tls && SSL_get_error(c->tls, (int)n) == SSL_ERROR_ZERO_RETURN);
    if (n > 0)
        strbuf_commit(&c->in, (size_t)n);
    return n > 0;
}

void probe_read_all(struct probe *c)
{
    while (probe_more(c)) {
    }
}

static const char *find(struct str s, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= s.len; i++) {
        if (memcmp(s.ptr + i, what, n) == 0)
            return s.ptr + i;
    }
    return NULL;
}

static struct str header_of(struct str head, const char *name)
{
    struct str line, rest = head;
    while (str_cut(&rest, '\n', &line)) {
        struct str value = line, key;
        if (str_cut(&value, ':', &key) && value.ptr && str_eq_nocase(key, str_of(name)))
            return str_trim(value);
    }
    return (struct str){NULL, 0};
}

/* Drops the first `len` bytes of what was read. */
static void consume(struct probe *c, size_t len)
{
    memmove(c->in.buf, c->in.buf + len, c->in.len - len);
    strbuf_truncate(&c->in, c->in.len - len);
}

static bool need(struct probe *c, size_t len)
{
    while (c->in.len < len) {
        if (!probe_more(c))
            return false;
    }
    return true;
}

static bool take_counted(struct probe *c, struct strbuf *body, size_t len)
{
    bool whole = need(c, len);
    size_t n = c->in.len < len ? c->in.len : len;
    strbuf_add(body, c->in.buf, n);
    if (n > 0)
        consume(c, n);
    return whole;
}

static bool take_line(struct probe *c, struct strbuf *line)
{
    const char *end;
    while (!(end = find(strbuf_str(&c->in), "\r\n"))) {
        if (!probe_more(c))
            return false;
    }
    strbuf_reset(line);
    strbuf_add(line, c->in.buf, (size_t)(end - c->in.buf));
    consume(c, line->len + 2);
    return true;
}

static bool take_chunks(struct probe *c, struct strbuf *body)
{
    AUTO_STRBUF line;
    strbuf_init(&line, 1024);
    for (;;) {
        if (!take_line(c, &line))
            return false;
        size_t len = strtoul(strbuf_cstr(&line), NULL, 16);
        if (!take_counted(c, body, len) || !take_line(c, &line) || line.len > 0)
            return false;
        if (len == 0)
            return true;
    }
}

static size_t take_head(struct probe *c, struct strbuf *own)
{
    const char *end;
    while (!(end = find(strbuf_str(&c->in), "\r\n\r\n"))) {
        if (!probe_more(c))
            return 0;
    }
    size_t len = (size_t)(end - c->in.buf) + 4;
    strbuf_add(own, c->in.buf, len);
    consume(c, len);
    return len;
}

struct probe_reply probe_take(struct probe *c, bool head_only)
{
    struct probe_reply r = {.status = 0};
    int64_t number = 0;
    strbuf_init(&r.own, (size_t)1 << 30);
    size_t head = take_head(c, &r.own);
    if (head == 0)
        return r;
    struct str text = strbuf_str(&r.own);
    struct str length = header_of(text, "Content-Length"), coding = header_of(text, "Transfer-Encoding");
    CHECK(str_starts(text, S("HTTP/1.1 ")) && str_to_i64(str_slice(text, 9, 12), 100, 599, &number));
    r.status = (int)number;
    if (head_only || r.status == 204 || r.status == 304 || r.status < 200) {
        r.whole = true;
    } else if (coding.ptr) {
        r.whole = take_chunks(c, &r.own);
    } else if (length.ptr) {
        CHECK(str_to_i64(length, 0, INT64_MAX, &number));
        r.whole = take_counted(c, &r.own, (size_t)number);
    } else {
        probe_read_all(c);
        r.whole = !c->reset;
        (void)take_counted(c, &r.own, c->in.len);
    }
    r.head = str_slice(strbuf_str(&r.own), 0, head);
    r.body = str_slice(strbuf_str(&r.own), head, r.own.len);
    return r;
}

void probe_reply_release(struct probe_reply *r)
{
    strbuf_release(&r->own);
}

struct str probe_header(const struct probe_reply *r, const char *name)
{
    return header_of(r->head, name);
}

struct probe_reply probe_ask(uint16_t port, struct str request)
{
    struct probe c;
    CHECK(probe_open(&c, port));
    CHECK(probe_send(&c, request));
    struct probe_reply r = probe_take(&c, str_starts(request, S("HEAD ")));
    probe_close(&c);
    return r;
}

void probe_make_certificate(const char *name, const char *cert_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *out;
    CHECK(key && cert && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
          X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
    CHECK(X509_NAME_add_entry_by_txt(
              X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1);
    CHECK(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 && X509_set_pubkey(cert, key) == 1);
    CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    CHECK((out = fopen(cert_path, "w")) && PEM_write_X509(out, cert) == 1 && fclose(out) == 0);
    CHECK((out = fopen(key_path, "w")) && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
    CHECK(fclose(out) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void probe_peer_name(const struct probe *c, char *out, size_t size)
{
    X509 *cert = SSL_get1_peer_certificate(c->tls);
    CHECK(cert && X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out, (int)size) > 0);
    X509_free(cert);
}
