/* Runs a fuzz target over the files of its corpus, without a fuzzer: `make test` proves that no input ever
 * found breaks it again. Usage: replay_NAME [FILE or FOLDER…]; without arguments tests/fuzz/corpus/NAME. A
 * crash ends the process, so a suite that prints no tally failed at the file named last. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target may define it to set something up once. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long passed, failed;

static int fail(const char *path, const char *why)
{
    printf("%s: %s\n", path, why);
    failed++;
    return 0;
}

static int replay_file(const char *path, size_t size)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);

    if (!in || !data || fread(data, 1, size, in) != size) {
        free(data);
        return in ? fclose(in) + fail(path, "cannot be read") : fail(path, "cannot be opened");
    }
    fclose(in);
    printf("%s\n", path);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, size); /* its value is a hint to the fuzzer, not a verdict */
    free(data);
    passed++;
    return 0;
}

static int replay_path(const char *path);

static int replay_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);

    if (count < 0)
        return fail(path, "cannot be listed");
    for (int i = 0; i < count; i++) {
        char child[4096];

        if (entries[i]->d_name[0] != '.' &&
            (size_t)snprintf(child, sizeof(child), "%s/%s", path, entries[i]->d_name) < sizeof(child))
            replay_path(child);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static int replay_path(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return fail(path, "is not there");
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    const char *name = strstr(argv[0], "replay_");
    char folder[256];

    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        replay_path(argv[i]);
    if (argc == 1 && name) {
        snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", name + strlen("replay_"));
        replay_path(folder);
    }
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed ? 1 : 0;
}
