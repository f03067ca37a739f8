/* Checkpoints. The CRC at the end is made right, or nothing would be read, unless the first byte is
 * odd. */
#include "checkpoint.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bm_checkpoint checkpoint;
    struct bm_error error;
    if (size < 5) {
        return 0;
    }
    size_t length = size - 1;
    uint8_t *file = malloc(length);
    if (file == NULL) {
        return 0;
    }
    memcpy(file, data + 1, length);
    if (data[0] % 2 == 0) {
        unsigned long crc = crc32(0, file, (uInt)(length - 4));
        for (uint32_t i = 0; i < 4; i++) {
            file[length - 4 + i] = (uint8_t)(crc >> (8 * i));
        }
    }
    memset(&checkpoint, 0, sizeof checkpoint);
    if (bm_checkpoint_read(bm_fuzz_file(file, length), &checkpoint, &error) == BM_STATUS_OK) {
        bm_checkpoint_free(&checkpoint);
    }
    free(file);
    return 0;
}
