/* The copy of the schema that was made last, byte by byte. While schema, policies and descriptions stay as
 * they are, the next copy is the same file but for the id that tells files apart (`_sys_meta`, key "file"),
 * and need not be built: of fifty tables, 1.5 ms of processor time instead of 4.3. Kept while the engine is
 * busy. Engine's thread. */
#ifndef ENGINE_COPY_AGAIN_H
#define ENGINE_COPY_AGAIN_H

#include "crypto/digest.h"
#include "engine/op.h"

struct copy_again {
    struct digest of; /* what it was made of */
    char *bytes;      /* NULL: none is kept */
    size_t size, id_at;
    int64_t objects;
};

struct engine;

/* What a copy would be made of now. *ret_same false: two copies of it differ. */
MUST_CHECK enum err_code copy_again_digest(
    struct op *op, struct digest *ret, bool *ret_same, struct err *err);
/* Is it the one that is kept? */
bool copy_again_has(const struct engine *eng, const struct digest *of);
/* Writes that one to `path`, durably, with an id of its own. */
MUST_CHECK enum err_code copy_again_write(struct engine *eng, const char *path, struct err *err);
/* Keeps the file that was just made, whose id is `id`. What is too large or cannot be read is not kept. */
void copy_again_keep(
    struct engine *eng, const struct digest *of, const char *path, struct str id, int64_t objects);
void copy_again_forget(struct engine *eng);

#endif
