/* Makes one I/O call of the calling thread fail: the nth of write, pwrite, fsync, fdatasync, ftruncate,
 * fchmod and rename since it was armed. The functions are replaced in the test binary itself, so code under
 * test runs unchanged.
 *
 *     for (int n = 1; fired; n++) { faultio_arm(n, EIO); … fired = faultio_disarm(); … }
 */
#ifndef TESTS_LIB_FAULTIO_H
#define TESTS_LIB_FAULTIO_H

#include <stdbool.h>

#define FAULTIO_SHORT 0 /* as error: write half of it, which is no failure; other calls pass */

void faultio_arm(int nth, int error);
bool faultio_disarm(void); /* true when the call was reached */

#endif
