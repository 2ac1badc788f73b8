/* Writing HTML that cannot be broken out of: markup is a literal of ours, everything else goes through
 * markup_text or markup_attr, which escape. Any thread. */
#ifndef API_MARKUP_H
#define API_MARKUP_H

#include "base/strbuf.h"

/* A literal, so that text made at run time does not compile. */
#define MARKUP(out, literal) strbuf_add_str((out), S(literal))

void markup_text(struct strbuf *out, struct str text);
/* ` name="value"`; the name is ours. */
void markup_attr(struct strbuf *out, const char *name, struct str value);

#endif
