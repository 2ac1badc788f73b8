/* See log_index.h. */
#include "engine/log_index.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum {
    INDEX_PAGE = 32768, /* how the index is mapped */
    LOG_HEAD = 32,
    FRAME_HEAD = 24,
    TRIES = 100, /* a writer changes the head in a microsecond */
};

/* In the byte order of the machine. */
struct head {
    uint32_t version, unused, changes;
    uint8_t is_init, big_endian;
    uint16_t page_size; /* 1: 65536 */
    uint32_t last_frame, pages;
    uint32_t frame_sum[2], salt[2], sum[2];
};

/* Behind both heads: how many frames a checkpoint has brought into the file. */
enum { TAKEN_AT = 2 * (int)sizeof(struct head) };

_Static_assert(sizeof(struct head) == 48, "as in the file format");

/* Two of them lie side by side: a writer changes the second first, a reader looks at the first first. */
static bool read_once(const volatile unsigned char *map, struct head *ret)
{
    struct head second = {0};
    for (size_t i = 0; i < sizeof *ret; i++)
        ((unsigned char *)ret)[i] = map[i];
    atomic_thread_fence(memory_order_seq_cst);
    for (size_t i = 0; i < sizeof second; i++)
        ((unsigned char *)&second)[i] = map[sizeof *ret + i];
    return ret->is_init && memcmp(ret, &second, sizeof second) == 0;
}

/* A checkpoint passes no reader's mark: while there is one, nothing is added to what is in the file. */
static bool is_taken(const volatile unsigned char *map, const struct head *head)
{
    atomic_thread_fence(memory_order_seq_cst);
    return *(const volatile uint32_t *)(const volatile void *)(map + TAKEN_AT) >= head->last_frame;
}

int64_t log_index_bytes(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    void volatile *map = NULL;
    struct head head;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc || !file || !file->pMethods || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, INDEX_PAGE, 0, &map) || !map)
        return -1;
    for (int i = 0; i < TRIES; i++) {
        if (!read_once(map, &head))
            continue;
        if (is_taken(map, &head))
            return 0;
        int64_t page = head.page_size == 1 ? 65536 : head.page_size;
        return LOG_HEAD + head.last_frame * (FRAME_HEAD + page);
    }
    return -1;
}
