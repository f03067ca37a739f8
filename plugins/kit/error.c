/* Error text, struct sizes and ABI versions: what a plugin says to and hears from its host. */
#include <batchmark/kit.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int32_t bm_kit_fail(struct bm_error *error, int32_t code, const char *format, ...) {
    va_list arguments;
    error->code = code;
    error->native_code = 0;
    va_start(arguments, format);
    if (vsnprintf(error->text, sizeof error->text, format, arguments) < 0) {
        error->text[0] = '\0';
    }
    va_end(arguments);
    return code;
}

int32_t bm_kit_struct(const void *given, uint32_t known, const char *name, struct bm_error *error) {
    const unsigned char *bytes = given;
    uint32_t size = 0;
    if (given == NULL) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "%s: expected a struct, found NULL", name);
    }
    memcpy(&size, given, sizeof size);
    if (size < known) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "%s.size: expected at least %u bytes, found %u", name, known, size);
    }
    for (uint32_t i = known; i < size; i++) {
        if (bytes[i] != 0) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "%s: expected zeros after the %u bytes known here, found %u at "
                               "byte %u",
                               name, known, bytes[i], i);
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_kit_struct_array(const void *first,
                            uint32_t count,
                            uint32_t stride,
                            uint32_t known,
                            const char *name,
                            struct bm_error *error) {
    const unsigned char *bytes = first;
    if (first == NULL && count > 0) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "%s: expected %u structs, found NULL", name,
                           count);
    }
    if (count > 0 && (stride < known || stride % 4 != 0)) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "stride of %s: expected a multiple of 4, at least %u, found %u", name,
                           known, stride);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = 0;
        const void *element = bytes + (size_t)i * stride;
        memcpy(&size, element, sizeof size);
        if (size > stride) {
            return bm_kit_fail(error, BM_STATUS_INVALID,
                               "%s[%u].size: expected at most the stride %u, found %u", name, i,
                               stride, size);
        }
        int32_t status = bm_kit_struct(element, known, name, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_kit_negotiate(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    if (host_major == BM_ABI_MAJOR) { /* minors only add */
        return BM_STATUS_OK;
    }
    return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "ABI: the plugin has %u.%u, the host %u.%u",
                       BM_ABI_MAJOR, BM_ABI_MINOR, host_major, host_minor);
}
