#include "api/persql/import_format.h"

#include "api/persql/multipart.h"

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

static bool by_magic(struct str bytes, enum import_format *ret)
{
    *ret = IMPORT_SQLITE;
    return str_starts(bytes, SQLITE_MAGIC);
}

static enum err_code check_bytes(const struct import_upload *u, struct err *err)
{
    if (!u->bytes.len)
        return err_field(err, "/file", "The file is empty");
    if (u->format == IMPORT_SQLITE && !str_starts(u->bytes, SQLITE_MAGIC))
        return err_field(err, "/file", "The file is not an SQLite database: its first 16 bytes say so");
    return ERR_OK;
}

enum err_code import_read(
    struct str content_type, struct str format, struct str body, struct import_upload *ret, struct err *err)
{
    struct multipart_file file = {.bytes = body, .filename = STR_EMPTY, .content_type = content_type};
    struct str boundary;
    if (format.ptr && !by_name(format, &ret->format))
        return err_set(err, ERR_INVALID, "Query parameter \"format\" must be sql, sqlite, csv or ndjson");
    if (content_type.ptr && str_starts_nocase(content_type, S("multipart/"))) {
        if (!multipart_boundary(content_type, &boundary))
            return err_set(err, ERR_INVALID, "Content-Type must be multipart/form-data with a boundary");
        enum err_code rc = multipart_file(body, boundary, &file, err);
        if (rc)
            return rc;
    }
    ret->bytes = file.bytes;
    if (!format.ptr && !by_content_type(file.content_type, &ret->format) &&
        !by_extension(file.filename, &ret->format) && !by_magic(file.bytes, &ret->format))
        return err_set(err, ERR_MEDIA_TYPE,
            "Send application/sql, application/vnd.sqlite3, text/csv or application/x-ndjson, or say "
            "?format=");
    return check_bytes(ret, err);
}
