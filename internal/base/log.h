/* One line of key=value (or JSON) per event on standard error. Only api, work, supervise and cmd log; lower
 * layers return errors. Never pass SQL text, parameters, tokens, cookies or passwords: values are escaped,
 * not censored.
 *
 *     log_event(LOG_INFO, "engine_start", LOG_STR("db", id), LOG_INT("pid", pid));
 *
 * Any thread; a line is written by one write(2), or gathered with others. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_KV, LOG_FORMAT_JSON };
enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_INT };

struct log_field {
    enum log_kind kind;
    const char *key;
    struct str str;
    int64_t num;
};

#define LOG_STR(k, s)  ((struct log_field){LOG_KIND_STR, (k), (s), 0})
#define LOG_CSTR(k, z) ((struct log_field){LOG_KIND_STR, (k), str_of(z), 0})
#define LOG_INT(k, n)  ((struct log_field){LOG_KIND_INT, (k), STR_EMPTY, (int64_t)(n)})

void log_setup(enum log_level min, enum log_format format);
void log_write(enum log_level level, const char *event, const struct log_field *fields);
#define log_event(level, event, ...)                                                                         \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__, {LOG_KIND_END, NULL, STR_EMPTY, 0}})

/* Gathers the calling thread's lines, so that those of one turn of a loop leave in one write(2): `ask` is
 * called with the first, and whoever is asked calls log_flush() when the turn ends. LOG_WARN and above leave
 * at once, with what was gathered before them. A process that is killed takes its last turn's lines with it.
 * ask NULL: each line leaves by itself again. */
void log_gather(void (*ask)(void *arg), void *arg);
void log_flush(void);

#endif
