/* Compiler attributes under names that read well. Included by every other header of the base. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK                    __attribute__((warn_unused_result))
#define NORETURN                      __attribute__((noreturn))
#define UNUSED                        __attribute__((unused))
#define PRINTF_LIKE(f, a)             __attribute__((format(printf, f, a)))
#define CLEANUP(fn)                   __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#endif
