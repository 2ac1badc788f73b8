/* Text that somebody else wrote, shown so that nothing in it hides or moves anything: control characters,
 * those that turn the direction of writing, and those without width are spelled out as \u{202E}. Lines and
 * tabs stay. For reading alone: a text that holds such a spelling itself looks the same. Any thread. */
#ifndef BASE_VISIBLE_H
#define BASE_VISIBLE_H

#include "base/strbuf.h"

void strbuf_add_visible(struct strbuf *out, struct str text); /* malformed bytes become U+FFFD */
bool visible_as_it_is(struct str text);                       /* nothing in it would be spelled out */
bool visible_at_all(struct str text);                         /* more than spaces and what hides */

#endif
