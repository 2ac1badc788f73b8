/* Two change sets side by side: what was shown and what would be done by now. Engine's thread. */
#ifndef ENGINE_CHANGE_DIFF_H
#define ENGINE_CHANGE_DIFF_H

#include "engine/change_view.h"

/* Writes the members "rows" and "truncated" into an object that is open: for each row that is not in both, or
 * not the same in both, {"table","key","kind","proposed","now"}. kind: missing (only in `proposed`), new
 * (only in `now`), differs. */
MUST_CHECK enum err_code change_diff_write(
    const struct change_view *v, struct str proposed, struct str now, struct jsonw *w, struct err *err);

/* Do both change the same rows in the same way, whatever their order and whoever did it? */
MUST_CHECK enum err_code change_same_rows(struct str a, struct str b, bool *ret, struct err *err);

#endif
