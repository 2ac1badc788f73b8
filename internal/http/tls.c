/* See tls.h. */
#include "http/tls.h"
#include "base/check.h"
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

/* struct tls_context is OpenSSL's SSL_CTX and struct tls_session its SSL; the names keep OpenSSL out of the
 * other files. */
static SSL_CTX *ctx_of(struct tls_context *ctx)
{
    return (SSL_CTX *)ctx;
}

static SSL *ssl_of(struct tls_session *s)
{
    return (SSL *)s;
}

static enum err_code fail(SSL_CTX *ctx, struct err *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    err_set(err, ERR_INVALID, "%s: %s", what, reason ? reason : "cannot be read");
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return ERR_INVALID;
}

enum err_code tls_context_new(
    const char *cert_file, const char *key_file, struct tls_context **ret, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(ctx);
    CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(
        ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        return fail(ctx, err, "the TLS certificate");
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return fail(ctx, err, "the TLS key");
    *ret = (struct tls_context *)ctx;
    return ERR_OK;
}

void tls_context_free(struct tls_context *ctx)
{
    SSL_CTX_free(ctx_of(ctx));
}

struct tls_session *tls_session_new(struct tls_context *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx_of(ctx));
    CHECK(ssl && SSL_set_fd(ssl, fd) == 1);
    SSL_set_accept_state(ssl);
    return (struct tls_session *)ssl;
}

void tls_session_free(struct tls_session *s)
{
    SSL_free(ssl_of(s));
}

static ssize_t result(struct tls_session *s, int rc)
{
    int e = SSL_get_error(ssl_of(s), rc);
    ERR_clear_error(); /* the queue is the thread's, the next session must find it empty */
    switch (e) {
    case SSL_ERROR_NONE: return rc;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ: return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return TLS_WANT_WRITE;
    default: return TLS_FAILED;
    }
}

static int length(size_t len)
{
    return len > INT_MAX ? INT_MAX : (int)len;
}

ssize_t tls_handshake(struct tls_session *s)
{
    return result(s, SSL_do_handshake(ssl_of(s)));
}

ssize_t tls_read(struct tls_session *s, void *buf, size_t len)
{
    return result(s, SSL_read(ssl_of(s), buf, length(len)));
}

ssize_t tls_write(struct tls_session *s, const void *buf, size_t len)
{
    CHECK(len > 0);
    return result(s, SSL_write(ssl_of(s), buf, length(len)));
}

bool tls_pending(const struct tls_session *s)
{
    return SSL_pending((const SSL *)s) > 0;
}

void tls_close_notify(struct tls_session *s)
{
    (void)SSL_shutdown(ssl_of(s)); /* best effort: the socket is closed next */
    ERR_clear_error();
}

void tls_alert_plain(int fd)
{
    static const unsigned char ALERT[] = {
        21, 3, 3, 0, 2, 2, 80}; /* internal_error: the nearest there is to "full" */
    (void)send(
        fd, ALERT, sizeof ALERT, MSG_NOSIGNAL | MSG_DONTWAIT); /* best effort: the socket is closed next */
}
