// Our own loops, shared out over OpenMP's threads.
#ifndef BM_ONEDNN_LOOPS_H
#define BM_ONEDNN_LOOPS_H

#include <cstdint>

// body(i) for i in 0 .. count, each on one thread; `work` floats in all, below which waking the
// others costs more than it saves.
template <class function>
void bm_onednn_share(uint64_t count, uint64_t work, const function &body) {
    constexpr uint64_t alone = 8192;
#pragma omp parallel for schedule(static) if (work > alone)
    for (uint64_t i = 0; i < count; i++) {
        body(i);
    }
}

#endif
