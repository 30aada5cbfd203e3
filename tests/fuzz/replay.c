/* SPDX-License-Identifier: MIT
 *
 * Takes a fuzz target through its seeds and through what it once fell over. TAP.
 */
#include "fuzz.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_READ = 1 << 20 };

static bool replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(SIZE_MAX_READ), *input = NULL;
    bool whole = false;

    if (file != NULL && bytes != NULL) {
        size_t size = fread(bytes, 1, SIZE_MAX_READ, file);
        input = malloc(size > 0 ? size : 1); /* the sanitizer looks behind it */
        whole = feof(file) && input != NULL;
        if (whole) {
            memcpy(input, bytes, size);
            LLVMFuzzerTestOneInput(input, size);
        }
    }
    if (file != NULL)
        fclose(file);
    free(bytes);
    free(input);
    return whole;
}

int main(void)
{
    static const char *const folders[] = {
        TOP_SRCDIR "/tests/fuzz/corpus/" TARGET "/*",
        TOP_SRCDIR "/tests/fuzz/regression/" TARGET "/*",
    };
    glob_t files;
    bool all = true;

    if (glob(folders[0], 0, NULL, &files) != 0)
        return EXIT_FAILURE; /* there are seeds for each */
    glob(folders[1], GLOB_APPEND, NULL, &files);
    printf("1..%zu\n", files.gl_pathc);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *path = files.gl_pathv[i] + sizeof TOP_SRCDIR;
        fprintf(stderr, "%s\n", path); /* the one that crashes is the last */
        bool whole = replay(files.gl_pathv[i]);
        all &= whole;
        printf("%s %zu - %s\n", whole ? "ok" : "not ok", i + 1, path);
    }
    globfree(&files);
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
