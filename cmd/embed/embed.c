/* Build tool: writes a C file that holds the SQL files of migrations/ as arrays, one array a folder.
 * Usage: embed OUT.c migrations/FOLDER/NNN_name.sql… (sorted). Refuses a gap or a repetition in the numbers.
 */
#include "sqlite/migrations_embedded.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
    const char *path;
    char folder[32];
    int number;
    char name[64];
};

static void die(const char *path, const char *why)
{
    fprintf(stderr, "embed: %s: %s\n", path, why);
    exit(1);
}

static struct source parse(const char *path)
{
    struct source s = {.path = path};

    if (sscanf(path, "migrations/%31[a-z]/%3d_%63[a-z0-9_].sql", s.folder, &s.number, s.name) != 3)
        die(path, "not migrations/FOLDER/NNN_name.sql");
    return s;
}

static void write_char(FILE *out, int c)
{
    if (c == '\n')
        fputs("\\n\"\n        \"", out);
    else if (c == '"' || c == '\\' || c == '?') /* '?': no trigraphs */
        fprintf(out, "\\%c", c);
    else if (c >= ' ' && c < 127)
        fputc(c, out);
    else
        fprintf(out, "\\%03o", (unsigned)c);
}

static void write_text(FILE *out, const char *path)
{
    FILE *in = fopen(path, "rb");
    int c;

    if (!in)
        die(path, "cannot be read");
    while ((c = getc(in)) != EOF) {
        if (c == 0)
            die(path, "holds a NUL byte");
        write_char(out, c);
    }
    if (ferror(in))
        die(path, "cannot be read");
    fclose(in);
}

static void write_array(FILE *out, const char *folder, char **paths, int count)
{
    int number = 0;

    fprintf(out, "\nconst struct migration_file migrations_%s[] = {\n", folder);
    for (int i = 0; i < count; i++) {
        struct source s = parse(paths[i]);

        if (strcmp(s.folder, folder) != 0)
            continue;
        if (s.number != ++number)
            die(s.path, "its number does not follow the one before");
        fprintf(out, "    {%d, \"%s\",\n        \"", s.number, s.name);
        write_text(out, s.path);
        fputs("\"},\n", out);
    }
    fputs("    {0, NULL, NULL},\n};\n", out);
}

int main(int argc, char **argv)
{
    FILE *out = argc > 1 ? fopen(argv[1], "wb") : NULL;

    if (!out)
        die(argc > 1 ? argv[1] : "OUT.c", "cannot be written");
    fputs("/* Made by cmd/embed from migrations/. */\n#include \"sqlite/migrations_embedded.h\"\n#include "
          "<stddef.h>\n",
        out);
    write_array(out, "control", argv + 2, argc - 2);
    write_array(out, "tenant", argv + 2, argc - 2);
    if (fclose(out) != 0)
        die(argv[1], "cannot be written");
    return 0;
}
