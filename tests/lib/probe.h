/* A raw HTTP client for tests: sends exactly the bytes it is given, plain or over TLS, and takes replies
 * apart. Every wait is bounded: ten seconds without a byte end a read. */
#ifndef TESTS_LIB_PROBE_H
#define TESTS_LIB_PROBE_H

#include "base/strbuf.h"

struct probe {
    int fd;
    void *tls;        /* OpenSSL's session, or NULL */
    struct strbuf in; /* read and not yet taken */
    bool reset;       /* the last read ended with a reset or a time-out, not with the end of the stream */
};

struct probe_reply {
    int status;        /* 0: none */
    struct str head;   /* with the empty line */
    struct str body;   /* chunks joined */
    struct strbuf own; /* holds both */
    bool whole;        /* the framing says that nothing is missing */
};

bool probe_open(struct probe *c, uint16_t port);        /* false: refused */
bool probe_open_narrow(struct probe *c, uint16_t port); /* receives little ahead of its reads */
bool probe_open_tls(struct probe *c, uint16_t port);    /* any certificate */
void probe_close(struct probe *c);
void probe_abort(struct probe *c);                  /* close with a reset */
bool probe_send(struct probe *c, struct str bytes); /* false: the server has closed */
bool probe_send_bytewise(struct probe *c, struct str bytes);
void probe_end(struct probe *c);          /* closes the sending side */
bool probe_wait(struct probe *c, int ms); /* something can be read */
/* Reads on: false at the end, on a reset and after ten seconds. */
bool probe_more(struct probe *c);
void probe_read_all(struct probe *c);
/* The next reply; reads as needed. `head_only`: it answers a HEAD. Release with probe_reply_release. */
struct probe_reply probe_take(struct probe *c, bool head_only);
void probe_reply_release(struct probe_reply *r);
struct str probe_header(const struct probe_reply *r, const char *name); /* ptr NULL when absent */

/* Open, send, take one reply, close. */
struct probe_reply probe_ask(uint16_t port, struct str request);

#define AUTO_REPLY CLEANUP(probe_reply_release) struct probe_reply

/* Writes a self-signed certificate and its key, named `name`, into two PEM files. */
void probe_make_certificate(const char *name, const char *cert_path, const char *key_path);
/* The name in the certificate of the server on the other side of a TLS client. */
void probe_peer_name(const struct probe *c, char *out, size_t size);

#endif
