/* Branches: databases that belong to another one, their parent, and are known by a ref of it. A branch is
 * made from its parent (or from a sibling), is made anew each time the ref is put again, and goes when its
 * time ends or its parent goes.
 *
 *     none ──branch_put──► there ──branch_put──► there (the same database, another content)
 *                            └── branch_expire, registry_delete ──► trash
 *
 * The slug of a branch is its parent's, a hyphen, and its ref, when the ref is such a text already (a-z, 0-9,
 * single hyphens). Any other ref is written in lower case with hyphens for the rest, cut, and followed by ten
 * hexadecimal digits of its SHA-256. So two refs never share a database; a slug that another database has is
 * refused.
 *
 * The files are made by an engine before branch_put() is called and lie in the parent's out/. Worker thread.
 */
#ifndef BRANCH_BRANCH_H
#define BRANCH_BRANCH_H

#include "registry/registry.h"
#include "token/token.h"

/* 1 to 64 of A-Z a-z 0-9 . _ - /, the first a letter or a digit. ERR_INVALID names `pointer`. */
MUST_CHECK enum err_code branch_check_ref(struct str ref, const char *pointer, struct err *err);
/* A ref nobody uses: the purpose as a slug, or "branch", and six random characters. */
struct str branch_invent_ref(struct arena *a, struct str purpose);
MUST_CHECK enum err_code branch_slug(
    struct str parent_slug, struct str ref, char ret[SLUG_SIZE], struct err *err);

/* How long a branch is to live, in the three spellings. */
struct branch_ttl {
    int64_t days, seconds; /* -1 not said; seconds 0: for ever */
    struct str at;         /* ISO 8601, ptr NULL not said */
};
#define BRANCH_TTL_INIT                                                                                      \
    {                                                                                                        \
        .days = -1, .seconds = -1, .at = { NULL, 0 }                                                         \
    }
/* *ret is the wall clock's time, 0 for ever; -1 nothing was said. ERR_INVALID names the field. */
MUST_CHECK enum err_code branch_read_ttl(
    const struct branch_ttl *in, int64_t now_ms, int64_t *ret, struct err *err);

struct branch_wish {
    struct registry_entry parent;
    struct id source_id;  /* whose engine made the files: the parent or a sibling */
    struct id copy_id;    /* their name in its out/; a new branch gets it */
    struct str ref, name; /* name "": "<parent's name> (<ref>)" */
    struct str region;
    bool with_rows;                /* the files have rows */
    int64_t expires_at;            /* as branch_read_ttl(): -1 for ever, or as long again as before */
    const struct token_new *token; /* to be made with it, for it alone and until it expires; NULL none */
};

struct branch_made {
    struct registry_entry entry;
    bool created; /* false: there was one, made anew */
    struct token token;
    struct secret secret;
};

/* Makes the branch, or makes it anew, from the files in out/. Opens its own transactions: whatever fails or
 * crashes, there is all of it or what there was before. ERR_FORBIDDEN too many branches, ERR_CONFLICT the
 * slug belongs to something else. */
MUST_CHECK enum err_code branch_put(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct arena *a, const struct branch_wish *in, struct branch_made *ret, struct err *err);

/* Makes a database of its own from the files in out/: `slug` is its name, `in->ref` is not looked at. Errors
 * as registry_create(). */
MUST_CHECK enum err_code branch_fork(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct branch_wish *in, struct str slug, struct registry_entry *ret, struct err *err);

#define BRANCH_EXPIRE_AT_ONCE 200

/* Deletes the databases whose time has come, and branches without a parent, BRANCH_EXPIRE_AT_ONCE at most.
 * Stops at the first failure. */
MUST_CHECK enum err_code branch_expire(
    struct db *db, const struct registry_disk *disk, int64_t now_ms, unsigned *ret_gone, struct err *err);

#endif
