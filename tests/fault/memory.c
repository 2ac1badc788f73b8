/* Our own allocations that may fail, made to fail by a plan: linked with --wrap=mem_try_grow. */
#include "lib/faultplan.h"

void *__real_mem_try_grow(void *p, size_t size);

void *__wrap_mem_try_grow(void *p, size_t size)
{
    int error;
    return faultplan_fails(FAULT_AT_MEM, &error) ? NULL : __real_mem_try_grow(p, size);
}
