/* TLS over a socket of ours. TLS 1.2 and later, no renegotiation. A context holds a certificate and its key;
 * sessions keep the one they began with, so a reload is the swap of a pointer. Loop thread only. */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "base/err.h"
#include <sys/types.h>

struct tls_context;
struct tls_session;

MUST_CHECK enum err_code tls_context_new(
    const char *cert_file, const char *key_file, struct tls_context **ret, struct err *err);
void tls_context_free(struct tls_context *ctx); /* sessions live on */

struct tls_session *tls_session_new(struct tls_context *ctx, int fd);
void tls_session_free(struct tls_session *s);

/* Results below zero; 0 is the end of what the client sends. */
enum { TLS_WANT_READ = -1, TLS_WANT_WRITE = -2, TLS_FAILED = -3 };

ssize_t tls_handshake(struct tls_session *s); /* > 0: done */
ssize_t tls_read(struct tls_session *s, void *buf, size_t len);
ssize_t tls_write(struct tls_session *s, const void *buf, size_t len); /* may take a part */
bool tls_pending(const struct tls_session *s); /* bytes wait that epoll does not know of */
void tls_close_notify(struct tls_session *s);
/* Says to a client whose hello was not read that nobody will: a fatal alert, which needs no keys yet. */
void tls_alert_plain(int fd);

#endif
