/* Ini files, for the command that the first byte says. */
#include "fuzz.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t commands[] = {BM_COMMAND_RUN, BM_COMMAND_TRAIN, BM_COMMAND_COMPARE,
                                        BM_COMMAND_LANDSCAPE};
    static struct bm_options options;
    struct bm_error error;
    char program[] = "run";
    char *words[] = {program, NULL};
    const char *unused[1];
    uint32_t count = 0;
    if (size == 0) {
        return 0;
    }
    uint32_t command = commands[data[0] % 4];
    if (bm_options_parse(command, 1, words, &options, unused, 1, &count, &error) != BM_STATUS_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        abort(); /* the defaults and the preset */
    }
    (void)bm_config_load(bm_fuzz_file(data + 1, size - 1), command, &options, &error);
    return 0;
}
