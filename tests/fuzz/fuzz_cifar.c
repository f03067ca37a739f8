/* Records of CIFAR-10 (first byte even) or CIFAR-100, plain or packed: as many as the file says. */
#include "data_source.h"
#include "fuzz.h"

#include <stdlib.h>

#define COUNT_MAX UINT64_C(8)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t images[COUNT_MAX * BM_CIFAR_PIXELS];
    static int32_t labels[COUNT_MAX];
    static struct bm_data_file file;
    struct bm_data_source source;
    struct bm_error error;
    if (size < 2 ||
        bm_data_file_open(bm_fuzz_file(data + 2, size - 2), &file, &error) != BM_STATUS_OK) {
        return 0;
    }
    uint64_t count = data[1] % (COUNT_MAX + 1);
    uint32_t class_count = data[0] % 2 == 0 ? 10 : 100;
    uint64_t bytes = count * (BM_CIFAR_PIXELS + (class_count == 10 ? 1 : 2));
    if (bm_data_file_expect(&file, bytes, &error) == BM_STATUS_OK &&
        bm_cifar_read(&file, count, class_count, images, labels, &error) == BM_STATUS_OK) {
        (void)bm_data_file_finish(&file, &source, &error);
        for (uint64_t i = 0; i < count; i++) {
            if (labels[i] < 0 || labels[i] >= (int32_t)class_count) {
                abort();
            }
        }
    }
    bm_data_file_close(&file);
    return 0;
}
