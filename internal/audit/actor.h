/* Who changes something: filled at the edge (a request, a command, the server's own clock) and handed down to
 * every function that changes state, which writes it into the audit log. Views only: the texts belong to the
 * request or the command. Any thread. */
#ifndef AUDIT_ACTOR_H
#define AUDIT_ACTOR_H

#include "base/id.h"
#include "base/str.h"

enum actor_kind {
    ACTOR_SERVER,   /* nobody asked: retention, recovery */
    ACTOR_CLI,      /* a command beside the data, by a user of the operating system */
    ACTOR_TOKEN,    /* a bearer: token_id is set */
    ACTOR_USER,     /* a person who signed in: user_id is set */
    ACTOR_STRANGER, /* a request without a credential: signing up */
    ACTOR_MACHINE,  /* who a trusted issuer says it is: name is "https://issuer acme/widgets" */
    ACTOR_KIND_COUNT,
};

struct actor {
    enum actor_kind kind;
    struct id user_id, token_id; /* "" none */
    struct str name;             /* ACTOR_CLI: the user of the operating system; ACTOR_MACHINE */
    struct str client;           /* what it calls itself: User-Agent, "holdfast token create"; "" unknown */
    struct str address;          /* "" none */
    struct str request_id;       /* "" none */
};

/* What the server does by itself. */
static inline struct actor actor_server(void)
{
    return (struct actor){.kind = ACTOR_SERVER};
}

#endif
