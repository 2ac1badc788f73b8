/* Values that JSON or CSV have no form of their own for, as an object of one member:
 *
 *   {"$blob":"<base64>"}     a blob
 *   {"$text":"<base64>"}     text that is not UTF-8 or holds a NUL; in CSV also text that would read as one
 * of these
 *   {"$real":"Infinity"}     and "-Infinity"
 *
 * Parameters and NDJSON take all of them, CSV the first two (it has 9e999). Any thread. */
#ifndef ENGINE_TAGGED_H
#define ENGINE_TAGGED_H

#include "base/strbuf.h"
#include "json/jsonr.h"
#include "json/jsonw.h"

#include <sqlite3.h>

enum tagged_kind {
    TAGGED_NONE, /* something else */
    TAGGED_BLOB,
    TAGGED_TEXT,
    TAGGED_REAL,
    TAGGED_BAD, /* the tag is one of these, what it holds is not */
};

struct tagged {
    enum tagged_kind kind;
    struct str bytes; /* of a blob or text: in the caller's buffer */
    double real;
};

/* How TAGGED_BAD is told: "… must be {…}". */
#define TAGGED_FORMS "one of {\"$blob\":\"<base64>\"}, {\"$text\":\"<base64>\"} or {\"$real\":\"Infinity\"}"

/* Reads an object; `buf` is reset and takes the bytes. */
struct tagged tagged_of_json(const struct jsonr_value *v, struct strbuf *buf);
/* Reads a field of CSV. */
struct tagged tagged_of_text(struct str field, struct strbuf *buf);

/* Text that must go as {"$text":…}: a NUL, or not UTF-8. */
bool tagged_is_odd(struct str text);
/* Text that a reader of CSV would take for a tag. */
bool tagged_looks_like(struct str text);
void tagged_add(struct strbuf *out, enum tagged_kind kind, struct str bytes);
/* The same as a value of what is being written. */
void tagged_write(struct jsonw *w, enum tagged_kind kind, struct str bytes);

/* Binds a blob, text or real; SQLite's result. */
int tagged_bind(sqlite3_stmt *stmt, int place, const struct tagged *t);

#endif
