/* Writing again what was read. Any thread. */
#ifndef JSON_REWRITE_H
#define JSON_REWRITE_H

#include "json/jsonr.h"
#include "json/jsonw.h"

/* The same value, exactly; texts and names of members pass through `text`, which appends what is to be
 * written in their place (NULL: as they are). */
void jsonw_value(
    struct jsonw *w, const struct jsonr_value *v, void (*text)(struct strbuf *out, struct str s));

#endif
