/* What a masked copy shows in place of a column's values. Every mask is a function of the value and of a
 * secret of the database alone: the same value gives the same one wherever it stands, so that what belonged
 * together still does, and nobody without the secret can try out values until one fits. Pure. Engine's
 * thread.
 *
 *   kind    gives                                                           of two values two
 *   keep    the value itself                                                 yes
 *   null    NULL                                                             no
 *   hash    a token of 32 characters; an integer, a number from 0 to 1, or   yes
 *           as many bytes, where the value is one
 *   shape   letters for letters, digits for digits, the rest as it is        yes
 *   name    a name: options {"part": "full" | "first" | "last"}              no
 *   email   an address at options {"domain": "example.com"}                  yes
 *   date    the same date some weeks earlier or later, by the same way for   yes
 *           all: options {"maxDays": 30 to 3650}
 *
 * NULL stays NULL and the empty text stays empty. What a kind can do nothing with (a date that is none) it
 * treats as shape, and shape what is not ASCII as hash: no value is passed on because it is odd. Where "yes"
 * stands, integers, short texts and short blobs are moved about among those of their size and cannot meet;
 * the tokens of others have 64 bits at least. */
#ifndef ENGINE_MASK_H
#define ENGINE_MASK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "crypto/digest.h"
#include "json/jsonr.h"
#include "json/jsonw.h"

enum mask_kind {
    MASK_KEEP,
    MASK_NULL,
    MASK_HASH,
    MASK_SHAPE,
    MASK_NAME,
    MASK_EMAIL,
    MASK_DATE,
    MASK_KIND_COUNT
};
enum mask_part { MASK_FULL, MASK_FIRST, MASK_LAST, MASK_PART_COUNT };

struct mask {
    enum mask_kind kind;
    enum mask_part part;
    struct str domain;
    int64_t max_days;
};

const char *mask_kind_name(enum mask_kind kind);
/* `options` NULL: the defaults. `at` is the pointer of the object that holds kind and options. The domain is
 * a view into `options`. */
MUST_CHECK enum err_code mask_read(
    struct str kind, const struct jsonr_value *options, const char *at, struct mask *ret, struct err *err);
void mask_write_options(struct jsonw *w, const struct mask *m); /* an object, {} for a kind without */
bool mask_eq(const struct mask *a, const struct mask *b);
bool mask_is_unique(const struct mask *m); /* of two values two */
bool mask_makes_text(const struct mask *m);

enum { MASK_SECRET_BYTES = 32 };

/* What is computed with the secret: one key for each purpose, derived from it. */
struct mask_keys {
    struct digest of[16];
};
void mask_keys_make(struct mask_keys *ret, struct str secret);

enum mask_type { MASK_T_NULL, MASK_T_INT, MASK_T_REAL, MASK_T_TEXT, MASK_T_BLOB };

struct mask_value {
    enum mask_type type;
    int64_t number;
    double real;
    struct str bytes;
};

/* Columns that SQLite takes for equal must stay so: texts are folded as the column's keys compare them. */
enum { MASK_FOLD_CASE = 1, MASK_FOLD_SPACES = 2 };

/* mask_value.c: the masked form of `in`; its bytes are in `out`, which is emptied first and holds
 * LIMIT_SQL_VALUE_BYTES. */
struct mask_value mask_value(const struct mask_keys *keys, const struct mask *m, unsigned fold,
    const struct mask_value *in, struct strbuf *out);
/* mask_date.c: false: it is no date, or has no place in the calendar afterwards. */
bool mask_date(int64_t days, const struct mask_value *in, struct mask_value *ret, struct strbuf *out);

#endif
