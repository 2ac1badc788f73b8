/* What the files of the engine share. An engine is one process with one thread: everything hangs on one
 * struct. */
#ifndef ENGINE_ENGINE_STATE_H
#define ENGINE_ENGINE_STATE_H

#include "base/fs.h"
#include "base/list.h"
#include "crypto/digest.h"
#include "engine/base.h"
#include "engine/cache.h"
#include "engine/channel.h"
#include "engine/copy_again.h"
#include "engine/dice.h"
#include "engine/engine.h"
#include "engine/guard.h"
#include "engine/op.h"
#include "engine/own.h"
#include "engine/querylog.h"
#include "engine/vfs.h"

struct task;
struct seat;
struct recorder;
struct proposal_watch;
struct rules;
struct invariants;
struct when;

/* Why the progress handler stopped a statement. */
enum stop_reason { STOP_NONE, STOP_DEADLINE, STOP_CANCELLED, STOP_BOUNCE, STOP_GIVES_WAY, STOP_INVARIANT };

/* Is it on for any table of the database? */
enum row_security { ROW_SECURITY_UNKNOWN, ROW_SECURITY_OFF, ROW_SECURITY_ON };

/* What changes() and total_changes() tell a call: of its own rows alone, although the connection is that of
 * all. */
struct call_counts {
    int64_t written, before; /* rows of the call's statements; the connection's count without them */
    bool wrote;              /* one of them has: then changes() is the connection's */
};

struct engine {
    struct engine_config cfg;
    struct board *board;
    struct vfs *vfs;
    sqlite3 *db;
    struct guard guard;
    struct cache cache;
    struct own own;
    struct channel channel;
    struct querylog log;
    struct dice dice;
    struct base_keeper base;
    struct copy_again again;
    struct digest schema; /* of schema_version, while schema_known: schema_state.h */
    int64_t schema_version;
    bool schema_known;
    uint64_t schema_changes;            /* how often that was forgotten or read anew */
    struct known_tables *known_tables;  /* change_table.h; NULL: none */
    int64_t destroyed, destroyed_inner; /* destruction.c's count */
    struct call_counts counts;
    struct tally *tally;           /* of the call whose statement runs; NULL none */
    unsigned recorders;            /* attached to a connection */
    struct recorder *recorder;     /* of the running rehearsal, NULL none */
    struct proposal_watch *watch;  /* proposal_watch.h */
    struct rules *rules;           /* as they are stored, NULL not read yet: rule.h */
    struct invariants *invariants; /* as they are stored, NULL not read yet: invariant.h */
    bool rules_pretended;          /* in their place: rules_pretend */
    struct rule *pretended_rules;
    struct when *when;           /* where the conditions of rules are evaluated, NULL none yet: rule_when.h */
    struct seat *aside;          /* its usual connections, while `opens` is another: seat_lay_aside */
    int opens;                   /* enum seat_aside */
    char elsewhere[FS_PATH_MAX]; /* path of the copy that SEAT_COPY opens */
    struct seat *seat;           /* the other connection, NULL none yet: seat.c */
    bool under_policies;         /* the one in `db` is that of calls under policies */
    bool policies_current;       /* in this turn the seat was found as the policies and the schema are */
    enum row_security row_security;

    struct task **tasks; /* TURN_TASKS_MAX slots, filled from the start as needed */
    size_t task_count;
    struct op *running; /* may be interrupted; NULL while the engine works for itself */
    int64_t running_since_us;
    bool running_reads; /* may be bounced */
    bool must_end_soon; /* the running call keeps the log from being begun anew: it does not stand back */
    enum stop_reason stop;
    int64_t invariant_until_us; /* clock_cpu_us, of the invariant that is being asked; 0 none */
    int64_t looked_us; /* when the time was last looked at for the running call: then it was stopped, if so */
    bool stands_back;  /* see board */
    bool read_refused; /* to the running call, which whatever it says of the file is not to be believed */
    int progress_ops;  /* between two looks */

    uint64_t wal_pages; /* in the log after the last commit */
    uint64_t page_size;
    int64_t reserved_objects; /* `_sys_` objects that must be there, no more and no fewer */

    int main_file;           /* main_file.h; 0 none */
    int64_t sealed_until_us; /* carry.h; 0: it takes writes */
    int64_t purged_us;       /* when receipts were last purged */
    bool leaving;            /* a write or fsync failed: answer this turn and end */
};

/* open.c: SQLite's start (once, in the engine's own process), the connection recipe and the `_sys_` tables.
 */
MUST_CHECK enum err_code engine_start_library(const struct engine *eng, struct err *err);
MUST_CHECK enum err_code engine_open(struct engine *eng, struct err *err);
void engine_close(struct engine *eng);
/* One connection more, up to its guard; its reader only reads once it is settled. */
MUST_CHECK enum err_code engine_connect(struct engine *eng, struct err *err);
MUST_CHECK enum err_code engine_settle(struct engine *eng, struct err *err);
/* Applies the recipe to a connection: limits, switches, functions. Used for scratch files too. */
MUST_CHECK enum err_code engine_recipe(struct engine *eng, sqlite3 *db, struct err *err);
void engine_limits(sqlite3 *db);
/* The server's own tables in a new file, inside the caller's transaction. */
MUST_CHECK enum err_code engine_make_tables(sqlite3 *db, struct err *err);

/* The migrations that a file of an earlier version lacks; *ret_new: it had none. ERR_UNAVAILABLE: it is from
 * a later one. */
MUST_CHECK enum err_code engine_migrate(sqlite3 *db, bool *ret_new, struct err *err);

/* checkpoint.c */
void checkpoint_after_commit(struct engine *eng);
void checkpoint_when_idle(struct engine *eng);
void checkpoint_at_exit(struct engine *eng);

/* Does SQLite say that the file is damaged? A virtual table's own complaint is none of the file: FTS5 has it
 * when an entry is to go that the index does not hold. */
bool engine_says_damaged(int rc);

/* Fills err when SQLite said that file or disk failed (after a failed write or fsync the engine also leaves);
 * false: it was something else. */
bool engine_note_failure(struct engine *eng, int rc, struct err *err);

/* engine.c, apart so that tests can run an engine in their own process: init, start (sends READY), serve,
 * release. */
void engine_init(struct engine *eng, const struct engine_config *cfg, int fd, struct board *board);
MUST_CHECK enum err_code engine_start(struct engine *eng, struct err *err);
enum engine_exit engine_serve(struct engine *eng);
void engine_release(struct engine *eng);

/* engine.c: has the running call's time come? Sets eng->stop. */
enum stop_reason engine_stop_reason(struct engine *eng);
enum { ENGINE_FIRST_OPS = 100 }; /* before the first look at the time */
void engine_begin_pace(struct engine *eng);
static inline void engine_pace_anew(struct engine *eng) /* before a statement: nobody knows how heavy it is */
{
    if (eng->progress_ops != ENGINE_FIRST_OPS)
        engine_begin_pace(eng);
}
void engine_watch_time(struct engine *eng, sqlite3 *db); /* stops statements of `db` then */

#endif
