/* Frames between front and engine: a pure codec, no I/O. Both sides treat what arrives as hostile: every
 * length is checked, every enum is checked, nothing is trusted to be terminated. Host byte order: both ends
 * are the same binary on one host.
 *
 *   frame  = u32 body length | u16 type | u16 flags | u64 call id | body
 *   CALL   front → engine   body: struct wire_call, encoded
 *   READY  engine → front   body: empty; sent once, the database is open
 *   REPLY  engine → front   body: with WIRE_FIRST a struct wire_reply_head, then bytes of the HTTP body; ends
 * with WIRE_LAST BOUNCE engine → front   body: empty; this call reads for long and others wait: run it on a
 * reader engine instead
 *
 * Nothing else crosses. An engine that sends a frame that does not decode is killed. Any thread. */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"

#define WIRE_HEADER_SIZE 16
#define WIRE_FRAME_MAX                                                                                       \
    (72u << 20) /* far more than a call with a JSON body; replies are cut into WIRE_CHUNK_MAX */
#define WIRE_CHUNK_MAX       (256u << 10)
#define WIRE_REPLY_FIXED     48 /* encoded wire_reply_head */
#define WIRE_REPLY_FRAME_MAX (WIRE_HEADER_SIZE + WIRE_REPLY_FIXED + WIRE_CHUNK_MAX)
#define WIRE_ARGS_MAX        8
#define WIRE_TABLES_MAX      256

enum wire_type { WIRE_CALL = 1, WIRE_READY, WIRE_REPLY, WIRE_BOUNCE, WIRE_TYPE_COUNT };

enum wire_flags {
    WIRE_FIRST = 1, /* REPLY: starts with a wire_reply_head */
    WIRE_LAST = 2,  /* REPLY: the call is over */
};

enum wire_op {
    WIRE_OP_NONE,
#define OP(name, lane) WIRE_OP_##name,
#include "wire/ops.def"
#undef OP
    WIRE_OP_COUNT
};

enum wire_lane { WIRE_LANE_MIXED, WIRE_LANE_WRITE, WIRE_LANE_READ, WIRE_LANE_STREAM, WIRE_LANE_SCRATCH };

/* What a call knows of the snapshot that has to be made before a write that destroys (engine/destruction.h).
 */
enum wire_snapshot {
    WIRE_SNAPSHOT_NEVER,   /* nobody would make one: the write is done without */
    WIRE_SNAPSHOT_ASK,     /* the engine takes such a write back and says wants_snapshot */
    WIRE_SNAPSHOT_MADE,    /* snapshot_id and snapshot_label tell which */
    WIRE_SNAPSHOT_SKIPPED, /* none could be made; snapshot_label is the reason */
    WIRE_SNAPSHOT_COUNT
};

enum wire_role { WIRE_ROLE_READONLY = 1, WIRE_ROLE_READWRITE, WIRE_ROLE_ADMIN, WIRE_ROLE_COUNT };

struct wire_header {
    uint32_t body_len;
    uint16_t type;
    uint16_t flags;
    uint64_t call_id;
};

struct wire_arg {
    struct str name, value;
};

/* One request. All strings are views: of the caller's memory when encoding, of the frame when decoded. */
struct wire_call {
    enum wire_op op;
    enum wire_role role;
    int64_t deadline_us; /* clock_mono_us(); the engine answers ERR_QUERY_TIMEOUT at this time, the front
                            kills 500 ms later */
    struct str request_id;
    struct str token_id;        /* public id of the bearer: query log, scope of idempotency keys */
    struct str idempotency_key; /* "" none */
    struct str plan_key, plan_step;
    struct str claims; /* the token's, a JSON object of scalars; "" none */
    enum wire_snapshot snapshot;
    struct str snapshot_id, snapshot_label;
    bool has_table_scope; /* true: only the tables below may be touched (possibly none) */
    uint16_t table_count;
    const struct str *tables; /* decoded: arena memory */
    uint16_t arg_count;
    struct wire_arg args[WIRE_ARGS_MAX]; /* decoded query parameters of the URL */
    struct str body;                     /* HTTP body as it came */
};

enum wire_content {
    WIRE_CONTENT_JSON,
    WIRE_CONTENT_TEXT,
    WIRE_CONTENT_SQL,
    WIRE_CONTENT_SQLITE,
    WIRE_CONTENT_CSV,
    WIRE_CONTENT_NDJSON,
    WIRE_CONTENT_COUNT
};

struct wire_reply_head {
    uint16_t status;  /* HTTP status, 200..599 */
    uint16_t code;    /* enum err_code, for metrics and logs */
    uint16_t content; /* enum wire_content */
    uint8_t idempotency_replayed;
    uint8_t plan_replayed;
    uint8_t held;           /* a rule holds the write until people approve it: the body is what was stored
                               (engine/rule.h) */
    uint8_t wants_snapshot; /* nothing was done: make a snapshot and send the call again; the body is an error
                               with its label as "label" */
    uint32_t retry_after_s; /* 0: none */
    uint64_t bytes_total;   /* length of the whole body where known beforehand, else 0 */
    uint64_t rows_read, rows_written;
    uint64_t bytes_estimate; /* about as long as that, where bytes_total is 0; 0: no idea */
};

/* Appends a whole frame or, when the strbuf's limit or WIRE_FRAME_MAX forbid it, nothing: the strbuf is then
 * failed. */
void wire_put_call(struct strbuf *out, uint64_t call_id, const struct wire_call *call);
size_t wire_call_size(const struct wire_call *call); /* of the whole frame */
void wire_put_plain(struct strbuf *out, enum wire_type type, uint64_t call_id);
/* `head` NULL: a later chunk. A chunk longer than WIRE_CHUNK_MAX leaves as several frames. */
void wire_put_reply(
    struct strbuf *out, uint64_t call_id, const struct wire_reply_head *head, struct str chunk, bool last);

/* Looks at the start of `in`. ERR_OK and *ret_size > 0: a whole frame stands there; ERR_OK and *ret_size ==
 * 0: more bytes are needed (*ret is set once the header is there); ERR_INVALID: not ours. */
MUST_CHECK enum err_code wire_peek(struct str in, struct wire_header *ret, size_t *ret_size, struct err *err);
MUST_CHECK enum err_code wire_get_call(
    struct str body, struct arena *a, struct wire_call *ret, struct err *err);
MUST_CHECK enum err_code wire_get_reply(uint16_t flags, struct str body, struct wire_reply_head *ret_head,
    struct str *ret_chunk, struct err *err);

struct str wire_arg(const struct wire_call *call, const char *name); /* value; ptr NULL when absent */
const char *wire_op_name(enum wire_op op);
enum wire_lane wire_op_lane(enum wire_op op);

#endif
