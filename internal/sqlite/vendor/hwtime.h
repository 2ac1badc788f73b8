/* Put before SQLite's source by options.mk: with this macro set SQLite leaves its own, rdtsc-based clock out.
 * We read the visit counts of a statement's scans, never their cycles, so the clock costs nothing. */
#define SQLITE_HWTIME_H
static inline unsigned long long sqlite3Hwtime(void)
{
    return 0;
}
