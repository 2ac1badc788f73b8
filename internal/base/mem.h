/* Small allocations. They abort when memory is out: a server that cannot allocate a few hundred bytes cannot
 * answer either. Anything whose size a user chooses grows in a bounded strbuf or arena instead. Any thread.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/attr.h"
#include "base/str.h"

void *mem_alloc(size_t size);                       /* zeroed; free with mem_free */
void *mem_array(size_t count, size_t size);         /* zeroed; overflow aborts */
void *mem_grow(void *p, size_t count, size_t size); /* realloc of an array; new part not cleared */
char *mem_strdup(const char *s);
char *mem_dup_str(struct str s);          /* NUL-terminated copy */
void *mem_try_grow(void *p, size_t size); /* realloc, NULL when memory is out: for strbuf and arena */
void mem_free(void *p);                   /* NULL is fine */
void mem_wipe(void *p, size_t size);      /* clears secrets; not optimised away */

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

#endif
