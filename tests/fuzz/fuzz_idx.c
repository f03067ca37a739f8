/* A data set of idx files, one of which is the input: the first byte says which. */
#include "data.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *bytes;
    size_t size;
} whole[] = {
    {"train-images-idx3-ubyte", "\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\2abcdefgh", 24},
    {"train-labels-idx1-ubyte", "\0\0\10\1\0\0\0\2\1\11", 10},
    {"t10k-images-idx3-ubyte", "\0\0\10\3\0\0\0\1\0\0\0\2\0\0\0\2abcd", 20},
    {"t10k-labels-idx1-ubyte", "\0\0\10\1\0\0\0\1\3", 9},
};

/* A folder for each file that is the input: a link to it, and the others whole. */
static char folders[4][64];

static void make_folder(uint32_t input, const char *path) {
    char file[128];
    (void)snprintf(folders[input], sizeof folders[input], "/tmp/bm-fuzz-idx-XXXXXX");
    if (mkdtemp(folders[input]) == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < 4; i++) {
        (void)snprintf(file, sizeof file, "%s/%s", folders[input], whole[i].name);
        if (i == input) {
            if (symlink(path, file) != 0) {
                abort();
            }
            continue;
        }
        FILE *stream = fopen(file, "w");
        if (stream == NULL || fwrite(whole[i].bytes, 1, whole[i].size, stream) != whole[i].size ||
            fclose(stream) != 0) {
            abort();
        }
    }
}

static void remove_folders(void) {
    char file[128];
    for (uint32_t f = 0; f < 4; f++) {
        for (uint32_t i = 0; i < 4; i++) {
            (void)snprintf(file, sizeof file, "%s/%s", folders[f], whole[i].name);
            (void)unlink(file);
        }
        (void)rmdir(folders[f]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bm_dataset dataset;
    struct bm_error error;
    if (size == 0) {
        return 0;
    }
    const char *path = bm_fuzz_file(data + 1, size - 1);
    if (folders[0][0] == '\0') {
        for (uint32_t i = 0; i < 4; i++) {
            make_folder(i, path);
        }
        (void)atexit(remove_folders);
    }
    if (bm_dataset_open("mnist", folders[data[0] % 4], NULL, &dataset, &error) == BM_STATUS_OK) {
        bm_dataset_close(&dataset);
    }
    return 0;
}
