/* The reader of CSV on any bytes: fields lie where the record says, and written again in the strictest form
 * they read back the same; what is taken for a number or a tagged value is one. */
#include "base/check.h"
#include "engine/csv.h"
#include "engine/tagged.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

static struct csv first, second;

static void write_field(struct strbuf *out, const struct csv_field *f)
{
    if (f->null)
        return;
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < f->text.len; i++) {
        if (f->text.ptr[i] == '"')
            strbuf_add_char(out, '"');
        strbuf_add_char(out, f->text.ptr[i]);
    }
    strbuf_add_char(out, '"');
}

/* A field has one meaning, and the tagged form of any bytes comes back as these bytes. */
static void check_meaning(struct str text)
{
    AUTO_STRBUF bytes;
    AUTO_STRBUF again;
    int64_t integer;
    char *end;
    strbuf_init(&bytes, INPUT_MAX);
    strbuf_init(&again, 2 * INPUT_MAX);
    enum csv_number number = csv_number(text);
    if (number == CSV_INTEGER)
        CHECK(str_to_i64(text, INT64_MIN, INT64_MAX, &integer));
    if (number == CSV_REAL)
        CHECK(strtod(text.ptr, &end) <= HUGE_VAL && end == text.ptr + text.len);
    struct tagged t = tagged_of_text(text, &bytes);
    CHECK(t.kind == TAGGED_NONE || (number == CSV_NO_NUMBER && tagged_looks_like(text)));
    if (t.kind == TAGGED_BLOB || t.kind == TAGGED_TEXT) {
        tagged_add(&again, t.kind, t.bytes);
        CHECK(str_eq(strbuf_str(&again), text));
    }
    strbuf_reset(&again);
    tagged_add(&again, TAGGED_TEXT, text);
    t = tagged_of_text(strbuf_str(&again), &bytes);
    CHECK(t.kind == TAGGED_TEXT && str_eq(t.bytes, text));
}

static void check_record(const struct csv *c)
{
    struct import_source in;
    AUTO_STRBUF out;
    bool found;
    strbuf_init(&out, 4 * INPUT_MAX);
    for (int i = 0; i < c->count; i++) {
        if (i)
            strbuf_add_char(&out, ',');
        write_field(&out, &c->fields[i]);
    }
    strbuf_add_cstr(&out, "\r\n");
    /* A byte-order mark of the field itself would be taken for one of the file: its quote stands before it.
     */
    import_source_memory(&in, strbuf_str(&out));
    csv_init(&second, &in);
    CHECK(csv_next(&second, &found, NULL) == ERR_OK && found && second.count == c->count);
    for (int i = 0; i < c->count; i++) {
        CHECK(second.fields[i].null == c->fields[i].null);
        CHECK(c->fields[i].null || str_eq(second.fields[i].text, c->fields[i].text));
    }
    CHECK(csv_next(&second, &found, NULL) == ERR_OK && !found);
    csv_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_source in;
    bool found = true;
    if (size > INPUT_MAX)
        return 0;
    import_source_memory(&in, str_make(data, size));
    csv_init(&first, &in);
    while (csv_next(&first, &found, NULL) == ERR_OK && found) {
        CHECK(first.count > 0 && first.count <= CSV_FIELDS_MAX);
        CHECK(first.line <= in.line && in.offset <= size);
        check_record(&first);
        for (int i = 0; i < first.count; i++) {
            if (!first.fields[i].null)
                check_meaning(first.fields[i].text);
        }
    }
    csv_release(&first);
    import_source_release(&in);
    return 0;
}
