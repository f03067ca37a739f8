/* Its update has an instruction of AVX-512 whatever the processor, for who emulates one without. */
#include "entry.h"

static const struct bm_plugin *base;

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    __asm__ volatile("vpxord %zmm0, %zmm0, %zmm0");
    return base->update(session, slice, hyper, error);
}

static void spoil(struct bm_plugin *table) {
    base = bm_bad_base_entry(BM_ABI_MAJOR, BM_ABI_MINOR, NULL);
    table->update = update;
}
