/* The cutter. Where a trigger ends is decided as sqlite3_complete() decides it: at "; END ;". */
#include "engine/sql_split.h"

enum { WORD_MAX = 16 };

/* What matters about the tokens seen since the statement began. */
enum shape {
    SHAPE_START,   /* nothing yet */
    SHAPE_CREATE,  /* CREATE [TEMP|TEMPORARY] */
    SHAPE_NORMAL,  /* ends at a semicolon */
    SHAPE_TRIGGER, /* inside CREATE TRIGGER */
    SHAPE_SEMI,    /* … behind a semicolon of its body */
    SHAPE_END,     /* … behind "; END" */
};

void sql_split_init(struct sql_split *s, struct import_source *in)
{
    *s = (struct sql_split){.in = in};
    strbuf_init(&s->text, SQL_SPLIT_MAX);
}

void sql_split_release(struct sql_split *s)
{
    strbuf_release(&s->text);
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c >= 0x80;
}

/* Takes the next byte into the statement. */
static int take(struct sql_split *s)
{
    int c = import_next(s->in);
    if (c != IMPORT_END)
        strbuf_add_char(&s->text, (char)c);
    return c;
}

/* Up to and with the byte `stop`, or to the end. */
static void take_until(struct sql_split *s, char stop)
{
    struct str taken;
    do {
        taken = import_take_until(s->in, stop);
        strbuf_add_str(&s->text, taken);
    } while (taken.len && taken.ptr[taken.len - 1] != stop && !strbuf_failed(&s->text));
}

static void take_block_comment(struct sql_split *s)
{
    int before = 0, c;
    (void)take(s); /* the star: it does not close what it opens */
    while ((c = take(s)) != IMPORT_END && c != '\0' && !(before == '*' && c == '/'))
        before = c;
}

static enum shape after_word(enum shape shape, struct str word)
{
    switch (shape) {
    case SHAPE_START: return str_eq_nocase(word, S("CREATE")) ? SHAPE_CREATE : SHAPE_NORMAL;
    case SHAPE_CREATE:
        if (str_eq_nocase(word, S("TRIGGER")))
            return SHAPE_TRIGGER;
        return str_eq_nocase(word, S("TEMP")) || str_eq_nocase(word, S("TEMPORARY")) ? SHAPE_CREATE
                                                                                     : SHAPE_NORMAL;
    case SHAPE_SEMI: return str_eq_nocase(word, S("END")) ? SHAPE_END : SHAPE_TRIGGER;
    case SHAPE_END: return SHAPE_TRIGGER;
    case SHAPE_NORMAL:
    case SHAPE_TRIGGER: break;
    }
    return shape;
}

/* The first byte of the word is in the text already. */
static enum shape take_word(struct sql_split *s, enum shape shape, int first)
{
    char word[WORD_MAX] = {(char)first};
    size_t len = 1;
    while (is_word(import_peek(s->in))) {
        int c = take(s);
        if (len < WORD_MAX)
            word[len] = (char)c;
        len++;
    }
    return after_word(shape, str_make(word, len < WORD_MAX ? len : 0));
}

/* Any other token than a word: no keyword, so a body goes on. */
static enum shape after_other(enum shape shape)
{
    return shape == SHAPE_START || shape == SHAPE_CREATE ? SHAPE_NORMAL
           : shape == SHAPE_SEMI || shape == SHAPE_END   ? SHAPE_TRIGGER
                                                         : shape;
}

/* Takes one token; *ret_ended at the semicolon that ends the statement. */
static enum shape take_token(struct sql_split *s, enum shape shape, bool *ret_ended)
{
    int c = take(s);
    if (is_space(c))
        return shape;
    if (c == '-' && import_peek(s->in) == '-') {
        take_until(s, '\n');
        return shape;
    }
    if (c == '/' && import_peek(s->in) == '*') {
        take_block_comment(s);
        return shape;
    }
    if (c == ';') {
        *ret_ended = shape != SHAPE_TRIGGER && shape != SHAPE_SEMI;
        return SHAPE_SEMI;
    }
    if (c == '\'' || c == '"' || c == '`' || c == '[') {
        take_until(s, (char)(c == '[' ? ']' : c));
        return after_other(shape);
    }
    return is_word(c) ? take_word(s, shape, c) : after_other(shape);
}

/* Passes over white space, comments and lone semicolons before a statement. */
static void skip_blank(struct sql_split *s)
{
    for (;;) {
        bool ended = false;
        int c = import_peek(s->in);
        if (c == IMPORT_END || !(is_space(c) || c == ';' || c == '-' || c == '/'))
            return;
        s->line = s->in->line;
        s->offset = s->in->offset;
        strbuf_reset(&s->text);
        if (take_token(s, SHAPE_START, &ended) == SHAPE_NORMAL)
            return; /* an operator, not a comment: part of a statement that is wrong */
        if (s->on_comment && s->text.len > 1)
            s->on_comment(s->arg, strbuf_str(&s->text));
        strbuf_reset(&s->text);
    }
}

static enum err_code check(const struct sql_split *s, struct err *err)
{
    if (s->in->failed)
        return err_set(err, ERR_IO, "the file to import could not be read to its end");
    if (strbuf_failed(&s->text))
        return err_set(err, ERR_TOO_LARGE, "the statement at line %llu is longer than %d bytes",
            (unsigned long long)s->line, (int)SQL_SPLIT_MAX);
    if (s->text.len && memchr(s->text.buf, '\0', s->text.len))
        return err_set(
            err, ERR_INVALID, "the statement at line %llu holds a NUL byte", (unsigned long long)s->line);
    return ERR_OK;
}

enum err_code sql_split_next(struct sql_split *s, bool *ret_found, struct err *err)
{
    enum shape shape = SHAPE_START;
    bool ended = false;
    strbuf_reset(&s->text);
    skip_blank(s);
    if (s->text.len) {
        shape = SHAPE_NORMAL;
    } else {
        s->line = s->in->line;
        s->offset = s->in->offset;
    }
    while (!ended && import_peek(s->in) != IMPORT_END && !strbuf_failed(&s->text))
        shape = take_token(s, shape, &ended);
    if (ended && !strbuf_failed(&s->text))
        strbuf_truncate(&s->text, s->text.len - 1);
    *ret_found = s->text.len > 0;
    s->number += *ret_found;
    return check(s, err);
}
