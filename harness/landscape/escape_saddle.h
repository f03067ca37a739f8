/* Between the files of the part `saddle`: a network at rest, doubled, and the runs from there. */
#ifndef BM_ESCAPE_SADDLE_H
#define BM_ESCAPE_SADDLE_H

#include "duplicate.h"
#include "escape.h"

struct bm_saddle {
    struct bm_landscape *landscape;
    struct bm_dataset dataset;
    struct bm_model narrow;
    struct bm_model wide;
    struct bm_duplicate duplicate;
    uint64_t images;
    float *narrow_params; /* at rest */
    float *wide_params;   /* doubled */
    double start_norm;    /* of the narrow network's gradient where its training began */
    uint64_t updates;     /* of its training */
    double narrow_loss;
    double plateau; /* the wide network's loss at the doubled point */
};

/* How a run leaves. */
struct bm_saddle_rule {
    uint32_t optimizer;
    double rate;
    uint64_t batch; /* 0: all images */
};

#define BM_SADDLE_MOMENTUM 0.9

/* A training of `rule` over the saddle's images is begun at `params`. */
int32_t bm_saddle_begin(struct bm_probe *probe,
                        const struct bm_saddle_rule *rule,
                        const float *params,
                        struct bm_error *error);

/* Opens a session of one of its networks. */
int32_t bm_saddle_open(struct bm_saddle *saddle,
                       const struct bm_model *model,
                       const struct bm_saddle_rule *rule,
                       uint64_t seed,
                       struct bm_probe *probe,
                       struct bm_error *error);

/* Takes the loss at the doubled point, and writes the object `saddle`, with its curvature. */
int32_t bm_saddle_plateau(struct bm_saddle *saddle, struct bm_error *error);

/* Writes the objects `leave` and `count`. */
int32_t bm_saddle_leave(struct bm_saddle *saddle);

#endif
