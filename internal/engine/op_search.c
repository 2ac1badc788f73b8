/* GET …/search?q=&limit=: the tables, views and columns that the words of the question speak of, by their
 * names and descriptions. Names weigh more than descriptions; a column also profits from its table's name.
 * data: {"hits":[{"kind":"table"|"view"|"column", "table", "column"?, "score", "description"?}]}, score 0 to
 * 1, best first, equal ones by kind and name. */
#include "engine/descriptions.h"
#include "engine/op.h"
#include "engine/search_words.h"
#include <stdlib.h>

enum { LIMIT_DEFAULT = 10, LIMIT_MAX = 50, QUESTION_MAX = 500 };

static const double PROSE_WEIGHT = 0.5, TABLE_OF_COLUMN_WEIGHT = 0.4, LEAST_SCORE = 0.1;

enum hit_kind { HIT_TABLE, HIT_VIEW, HIT_COLUMN };

struct hit {
    struct hit *next;
    enum hit_kind kind;
    const struct cat_table *table;
    const struct cat_column *column;
    int score; /* thousandths: so that equal is equal */
};

struct search {
    struct arena *arena;
    struct search_word words[SEARCH_WORDS_MAX];
    size_t word_count;
    struct hit *hits;
    size_t hit_count;
};

/* For each word asked for, the best match among the words of `text`, times `weight`, where it beats what
 * stands in `best`. Returns which part of the words of `text` was asked for. */
static double match_text(const struct search *s, struct str text, double weight, double *best)
{
    struct search_word found;
    size_t count = 0, matched = 0;
    while (search_word_next(&text, &found)) {
        bool hit = false;
        count++;
        for (size_t i = 0; i < s->word_count; i++) {
            double m = search_word_match(&s->words[i], &found) * weight;
            hit |= m > 0;
            if (m > best[i])
                best[i] = m;
        }
        matched += hit;
    }
    return count ? (double)matched / (double)count : 0;
}

static double sum(const struct search *s, const double *best)
{
    double total = 0;
    for (size_t i = 0; i < s->word_count; i++)
        total += best[i];
    return total;
}

/* `context` is the name of a column's table, "" for tables: it counts only beside a match of the column's
 * own. */
static int score(const struct search *s, struct str name, struct str description, struct str context)
{
    double best[SEARCH_WORDS_MAX] = {0};
    double covered = match_text(s, name, 1, best);
    (void)match_text(s, description, PROSE_WEIGHT, best); /* of prose, no part has to be asked for */
    if (sum(s, best) == 0)
        return 0;
    (void)match_text(s, context, TABLE_OF_COLUMN_WEIGHT, best);
    double value = sum(s, best) / (double)s->word_count * (0.8 + 0.2 * covered);
    return value < LEAST_SCORE ? 0 : (int)(value * 1000 + 0.5);
}

static void consider(
    struct search *s, enum hit_kind kind, const struct cat_table *t, const struct cat_column *c)
{
    int value = c ? score(s, c->name, c->description, t->name) : score(s, t->name, t->description, STR_EMPTY);
    struct hit *h = value ? arena_alloc(s->arena, sizeof(*h)) : NULL;
    if (!h)
        return;
    *h = (struct hit){s->hits, kind, t, c, value};
    s->hits = h;
    s->hit_count++;
}

static void search_list(struct search *s, const struct cat_table *list, enum hit_kind kind)
{
    for (const struct cat_table *t = list; t; t = t->next) {
        consider(s, kind, t, NULL);
        for (const struct cat_column *c = t->columns; c; c = c->next) {
            if (!c->hidden)
                consider(s, HIT_COLUMN, t, c);
        }
    }
}

static int compare_str(struct str a, struct str b)
{
    int d = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return d ? d : (a.len > b.len) - (a.len < b.len);
}

static int compare_hits(const void *left, const void *right)
{
    const struct hit *a = *(const struct hit *const *)left, *b = *(const struct hit *const *)right;
    if (a->score != b->score)
        return b->score - a->score;
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    int d = compare_str(a->table->name, b->table->name);
    return d || !a->column ? d : compare_str(a->column->name, b->column->name);
}

static void write_hit(struct jsonw *w, const struct hit *h)
{
    static const char *const kinds[] = {"table", "view", "column"};
    struct str description = h->column ? h->column->description : h->table->description;
    jsonw_object(w);
    JSONW_CSTR(w, "kind", kinds[h->kind]);
    JSONW_TEXT(w, "table", h->table->name);
    if (h->column)
        JSONW_TEXT(w, "column", h->column->name);
    jsonw_key(w, "score");
    jsonw_real(w, h->score / 1000.0);
    if (description.len)
        JSONW_TEXT(w, "description", description);
    jsonw_object_end(w);
}

static enum err_code write_hits(struct op *op, struct search *s, size_t limit, struct err *err)
{
    struct hit **sorted = arena_alloc(op->arena, (s->hit_count + 1) * sizeof(struct hit *));
    size_t count = 0;
    if (!sorted || arena_failed(op->arena))
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be searched in one call");
    for (struct hit *h = s->hits; h; h = h->next)
        sorted[count++] = h;
    qsort(sorted, count, sizeof(struct hit *), compare_hits);
    jsonw_object(op->w);
    jsonw_key(op->w, "hits");
    jsonw_array(op->w);
    for (size_t i = 0; i < count && i < limit; i++)
        write_hit(op->w, sorted[i]);
    jsonw_array_end(op->w);
    jsonw_object_end(op->w);
    return ERR_OK;
}

static enum err_code read_question(struct op *op, struct search *s, int64_t *ret_limit, struct err *err)
{
    struct str q = wire_arg(&op->call, "q"), limit = wire_arg(&op->call, "limit");
    *ret_limit = LIMIT_DEFAULT;
    if (limit.ptr && !str_to_i64(limit, 1, LIMIT_MAX, ret_limit))
        return err_field(err, "/limit", "must be an integer from 1 to %d", (int)LIMIT_MAX);
    if (q.len > QUESTION_MAX)
        return err_field(err, "/q", "must not be longer than %d bytes", (int)QUESTION_MAX);
    struct str rest = q.ptr ? q : STR_EMPTY;
    while (s->word_count < SEARCH_WORDS_MAX && search_word_next(&rest, &s->words[s->word_count]))
        s->word_count++;
    return s->word_count ? ERR_OK : err_field(err, "/q", "is required: words to look for");
}

enum err_code op_run_SEARCH(struct op *op, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct search s = {.arena = op->arena};
    struct str database;
    struct catalog cat;
    int64_t limit;
    enum err_code code = read_question(op, &s, &limit, err);
    if (!code)
        code = catalog_read(&src, &cat, err);
    if (!code)
        code = descriptions_attach(&src, &cat, &database, err);
    if (code)
        return code;
    search_list(&s, cat.tables, HIT_TABLE);
    search_list(&s, cat.views, HIT_VIEW);
    return write_hits(op, &s, (size_t)limit, err);
}
