/* One page of memory shared by the front and one engine: what a frame would tell too late. The front maps it
 * read-write and believes nothing in it: a wrong value can only harm the database whose engine wrote it (a
 * call that is run again or not). All members are lock-free atomics. */
#ifndef WIRE_BOARD_H
#define WIRE_BOARD_H

#include "base/attr.h"
#include <stdatomic.h>

/* Where the engine stands with the writes it took since its last commit. A call whose engine died is run
 * again only when it surely left nothing: it was not the running one, and the phase was OPEN or IDLE. */
enum board_phase {
    BOARD_IDLE,       /* no transaction; everything taken was answered or not begun */
    BOARD_OPEN,       /* inside the transaction of a batch; nothing of it is durable */
    BOARD_COMMITTING, /* from just before COMMIT until the answers of the batch are written */
};

struct board {
    /* engine writes */
    _Atomic uint64_t running_call; /* id of the call being worked on, 0 none */
    _Atomic uint32_t phase;        /* enum board_phase */
    _Atomic uint64_t commits, writes, fsyncs, fsync_us, wal_bytes, busy_us;
    _Atomic uint64_t rollback_redos; /* neighbours' work done again after a statement ended the transaction */
    _Atomic uint64_t violations;     /* statements that the guard refused */
    _Atomic int64_t last_commit_ms;  /* of a writer: nothing that the callers keep was committed after it */
    _Atomic uint32_t stands_back;    /* it has lowered its priority for a long read, for good */
    /* front writes */
    _Atomic uint64_t cancel_call;   /* the client of this call is gone: interrupt it when it runs */
    _Atomic uint32_t waiting;       /* calls sent or queued behind the running one */
    _Atomic uint32_t has_readers;   /* a reader engine can be had: long reads may be bounced */
    _Atomic uint32_t refuse_writes; /* the disk is nearly full: writes get ERR_FULL */
};

#define BOARD_SIZE 4096

#endif
