#include "api/persql/import_format.h"

#define SQLITE_MAGIC S("SQLite format 3\0")

static const struct import_name {
    enum import_format format;
    const char *name, *extension, *content_type;
} names[] = {
    {IMPORT_SQL, "sql", ".sql", "application/sql"},
    {IMPORT_SQLITE, "sqlite", ".sqlite", "application/vnd.sqlite3"},
    {IMPORT_CSV, "csv", ".csv", "text/csv"},
    {IMPORT_NDJSON, "ndjson", ".ndjson", "application/x-ndjson"},
    {IMPORT_SQL, NULL, NULL, "text/x-sql"},
    {IMPORT_SQL, NULL, NULL, "application/x-sql"},
    {IMPORT_SQLITE, NULL, ".sqlite3", "application/x-sqlite3"},
    {IMPORT_SQLITE, NULL, ".db", NULL},
    {IMPORT_NDJSON, NULL, ".jsonl", "application/ndjson"},
    {IMPORT_NDJSON, NULL, NULL, "application/jsonl"},
};

const char *import_format_name(enum import_format format)
{
    return names[format].name;
}

static bool by_name(struct str name, enum import_format *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].name && str_eq(name, str_of(names[i].name))) {
            *ret = names[i].format;
            return true;
        }
    return false;
}

static bool by_content_type(struct str value, enum import_format *ret)
{
    struct str type;
    if (!value.ptr || !str_cut(&value, ';', &type))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].content_type && str_eq_nocase(str_trim(type), str_of(names[i].content_type))) {
            *ret = names[i].format;
            return true;
        }
    return false;
}

static bool by_extension(struct str filename, enum import_format *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].extension && str_ends(filename, str_of(names[i].extension))) {
            *ret = names[i].format;
            return true;
        }
    return false;
}

enum err_code import_format_find(const struct import_hints *h, enum import_format *ret, struct err *err)
{
    if (h->url.ptr)
        return by_name(h->url, ret) ? ERR_OK
                                    : err_set(err, ERR_INVALID,
                                          "Query parameter \"format\" must be sql, sqlite, csv or ndjson");
    if (by_content_type(h->content_type, ret) || by_extension(h->filename, ret))
        return ERR_OK;
    *ret = IMPORT_SQLITE;
    if (str_starts(h->first, SQLITE_MAGIC))
        return ERR_OK;
    return err_set(err, ERR_MEDIA_TYPE,
        "Send application/sql, application/vnd.sqlite3, text/csv or application/x-ndjson, or say ?format=");
}

enum err_code import_format_check(enum import_format format, struct str first, struct err *err)
{
    if (!first.len && format == IMPORT_NDJSON) /* an export of no rows */
        return ERR_OK;
    if (!first.len)
        return err_field(err, "/file", "The file is empty");
    if (format == IMPORT_SQLITE && !str_starts(first, SQLITE_MAGIC))
        return err_field(err, "/file", "The file is not an SQLite database: its first 16 bytes say so");
    return ERR_OK;
}
