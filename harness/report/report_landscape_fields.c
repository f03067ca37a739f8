/* The members that the objects of `landscape` have, part by part. */
#include "report_landscape.h"

#include <string.h>

/* Short, so that the lists below read like the README. */
#define TEXT(key)                                                                                  \
    { key, BM_REPORT_TEXT, 0, NULL }
#define NUMBER(key)                                                                                \
    { key, BM_REPORT_NUMBER, 0, NULL }
#define FLAG(key)                                                                                  \
    { key, BM_REPORT_FLAG, 0, NULL }
#define NUMBERS(key)                                                                               \
    { key, BM_REPORT_NUMBERS, 0, NULL }
#define TEXTS(key)                                                                                 \
    { key, BM_REPORT_TEXTS, 0, NULL }
#define ANY(key)                                                                                   \
    { key, BM_REPORT_ANY, 0, NULL }
#define OBJECT(key, of)                                                                            \
    { key, BM_REPORT_OBJECT, 0, of }
#define OBJECTS(key, of)                                                                           \
    { key, BM_REPORT_OBJECTS, 0, of }
#define NEEDED(key, shape, of)                                                                     \
    { key, shape, 1, of }
#define END                                                                                        \
    { NULL, BM_REPORT_ANY, 0, NULL }

/* ---- Pieces ---- */

static const struct bm_report_member accuracy[] = {NUMBER("loss"), NUMBER("accuracy"), END};
static const struct bm_report_member accuracies[] = {NUMBERS("loss"), NUMBERS("accuracy"), END};
static const struct bm_report_member interval[] = {NUMBER("value"), NUMBER("median"), NUMBER("low"),
                                                   NUMBER("high"), END};
static const struct bm_report_member axis[] = {NEEDED("low", BM_REPORT_NUMBER, NULL),
                                               NEEDED("high", BM_REPORT_NUMBER, NULL),
                                               NEEDED("count", BM_REPORT_NUMBER, NULL), END};
static const struct bm_report_member eigenvalue[] = {NUMBER("value"), NUMBER("residual"),
                                                     NUMBER("error"), END};

const struct bm_report_member bm_report_landscape_common[] = {
    NEEDED("analysis", BM_REPORT_TEXT, NULL),
    NEEDED("part", BM_REPORT_TEXT, NULL),
    NEEDED("status", BM_REPORT_TEXT, NULL),
    TEXT("reason"),
    TEXT("backend"),
    TEXT("device_name"),
    FLAG("software"),
    TEXT("model"),
    TEXT("layers"),
    TEXT("dataset"),
    NUMBER("images"),
    TEXT("batch_norm"),
    NUMBER("threads"),
    TEXT("precision"),
    NUMBER("seed"),
    TEXT("point"),
    TEXT("optimizer"),
    NUMBER("batch"),
    NUMBER("epochs"),
    NUMBER("training_seed"),
    OBJECT("train", accuracy),
    OBJECT("test", accuracy),
    END};

static const struct bm_report_member training[] = {NUMBER("updates"), NUMBER("seconds"), END};

/* ---- escape ---- */

static const struct bm_report_member critical[] = {NUMBER("x"), NUMBER("y"), NUMBER("value"),
                                                   TEXT("kind"), END};
static const struct bm_report_member contour[] = {NEEDED("surface", BM_REPORT_TEXT, NULL),
                                                  TEXT("about"),
                                                  TEXT("formula"),
                                                  NUMBER("dimensions"),
                                                  NEEDED("x", BM_REPORT_OBJECT, axis),
                                                  OBJECT("y", axis),
                                                  NEEDED("values", BM_REPORT_GRID, NULL),
                                                  FLAG("log"),
                                                  OBJECTS("critical", critical),
                                                  END};
static const struct bm_report_member end_of_path[] = {
    NUMBERS("point"),       NUMBER("loss"), NUMBER("gradient_norm"),
    NUMBERS("eigenvalues"), TEXT("kind"),   END};
static const struct bm_report_member path[] = {NEEDED("surface", BM_REPORT_TEXT, NULL),
                                               TEXT("from"),
                                               NUMBER("rate"),
                                               NUMBER("momentum"),
                                               NUMBER("noise"),
                                               NUMBER("examples_per_update"),
                                               {"points", BM_REPORT_POINTS, 0, NULL},
                                               NEEDED("updates", BM_REPORT_NUMBERS, NULL),
                                               NUMBERS("examples"),
                                               NUMBERS("seconds"),
                                               NEEDED("losses", BM_REPORT_NUMBERS, NULL),
                                               OBJECT("end", end_of_path),
                                               FLAG("crossed"),
                                               TEXT("why"),
                                               END};
static const struct bm_report_member count[] = {NEEDED("surface", BM_REPORT_TEXT, NULL),
                                                TEXT("from"),
                                                NUMBER("rate"),
                                                ANY("ends"),
                                                TEXT("question"),
                                                NUMBER("momentum"),
                                                NUMBER("noise"),
                                                NUMBER("runs"),
                                                NUMBER("yes"),
                                                OBJECT("share", interval),
                                                OBJECT("updates", interval),
                                                NUMBER("limit"),
                                                END};
static const struct bm_report_member difference[] = {NUMBER("loss_difference"), END};
static const struct bm_report_member saddle[] = {ANY("narrow"),
                                                 ANY("wide"),
                                                 TEXT("method"),
                                                 NUMBER("loss"),
                                                 NUMBER("gradient_norm"),
                                                 OBJECT("smallest", eigenvalue),
                                                 OBJECT("largest", eigenvalue),
                                                 ANY("duplicated"),
                                                 OBJECT("check", difference),
                                                 NUMBER("share"),
                                                 NUMBER("updates"),
                                                 NUMBER("relative_gradient_norm"),
                                                 TEXT("point_kind"),
                                                 END};
static const struct bm_report_member curve[] = {NUMBERS("updates"), NUMBERS("losses"), END};
static const struct bm_report_member leave[] = {NUMBER("momentum"),
                                                NUMBER("rate"),
                                                NUMBER("perturbation"),
                                                NUMBER("updates"),
                                                NUMBER("limit"),
                                                OBJECT("curve", curve),
                                                END};
static const struct bm_report_member weights[] = {
    NUMBER("momentum"),   NUMBER("rate"),
    NUMBER("updates"),    NEEDED("coefficients", BM_REPORT_NUMBERS, NULL),
    ANY("recursion"),     ANY("sum"),
    NUMBER("difference"), END};

/* ---- hessian ---- */

static const struct bm_report_member tried[] = {NUMBER("step"), NUMBER("error"), END};
static const struct bm_report_member step[] = {NUMBER("value"), NUMBER("error"),
                                               OBJECTS("tried", tried), END};
static const struct bm_report_member trace[] = {NUMBER("value"), NUMBER("standard_error"),
                                                NUMBER("vectors"), END};
static const struct bm_report_member spectrum[] = {NUMBER("loss"),
                                                   NUMBER("gradient_norm"),
                                                   OBJECT("step", step),
                                                   OBJECTS("largest", eigenvalue),
                                                   OBJECTS("smallest", eigenvalue),
                                                   OBJECT("trace", trace),
                                                   NUMBER("products"),
                                                   NUMBER("gradients"),
                                                   NUMBER("gradient_noise"),
                                                   NUMBER("gradient_curvature"),
                                                   FLAG("converged"),
                                                   TEXT("point_kind"),
                                                   TEXT("evidence"),
                                                   END};
static const struct bm_report_member lowest[] = {NUMBER("t"), NUMBER("loss"), END};
static const struct bm_report_member walk[] = {NUMBER("eigenvalue"),
                                               NUMBER("slope"),
                                               NEEDED("t", BM_REPORT_NUMBERS, NULL),
                                               NEEDED("losses", BM_REPORT_NUMBERS, NULL),
                                               NUMBERS("quadratic"),
                                               OBJECT("lowest", lowest),
                                               END};

/* ---- sharpness ---- */

static const struct bm_report_member ascent[] = {
    TEXT("method"),    NUMBER("value"),  NUMBER("steps"), NUMBER("evaluations"), NUMBER("loss"),
    NUMBER("highest"), NUMBERS("after"), TEXT("ended"),   TEXT("reason"),        END};
static const struct bm_report_member sharpness[] = {TEXT("space"),
                                                    TEXT("columns"),
                                                    TEXT("method"),
                                                    TEXT("ended"),
                                                    OBJECTS("beside", ascent),
                                                    NUMBER("dimensions"),
                                                    NUMBER("epsilon"),
                                                    NUMBER("draw"),
                                                    NUMBER("value"),
                                                    NUMBER("loss"),
                                                    NUMBER("highest"),
                                                    NUMBER("steps"),
                                                    NUMBER("evaluations"),
                                                    NUMBERS("after"),
                                                    NUMBER("scaled"),
                                                    NUMBER("function_change"),
                                                    END};
static const struct bm_report_member filter_line[] = {NEEDED("t", BM_REPORT_NUMBERS, NULL),
                                                      NEEDED("losses", BM_REPORT_NUMBERS, NULL),
                                                      NUMBER("width"), FLAG("at_least"), END};
static const struct bm_report_member paper[] = {NUMBER("small"), NUMBER("large"), END};
static const struct bm_report_member comparison[] = {TEXT("method"),
                                                     NUMBER("pairs"),
                                                     TEXT("space"),
                                                     NUMBER("epsilon"),
                                                     OBJECT("ratio", interval),
                                                     OBJECT("paper", paper),
                                                     ANY("agrees"),
                                                     TEXT("verdict"),
                                                     NUMBER("small_batch"),
                                                     NUMBER("large_batch"),
                                                     NUMBERS("small"),
                                                     NUMBERS("large"),
                                                     END};

/* ---- line ---- */

static const struct bm_report_member line[] = {TEXT("shape"),
                                               TEXT("from"),
                                               TEXT("to"),
                                               NEEDED("t", BM_REPORT_NUMBERS, NULL),
                                               OBJECT("train", accuracies),
                                               OBJECT("test", accuracies),
                                               TEXT("statistics"),
                                               NUMBER("barrier"),
                                               END};
static const struct bm_report_member layer[] = {ANY("layer"), NUMBER("norm"), END};
static const struct bm_report_member distance[] = {TEXT("from"), NUMBER("norm"), NUMBER("relative"),
                                                   OBJECTS("by_layer", layer), END};
static const struct bm_report_member place[] = {TEXT("name"), NUMBER("x"), NUMBER("y"),
                                                NUMBER("off"), END};
static const struct bm_report_member projected[] = {TEXT("name"),   NUMBERS("x"),      NUMBERS("y"),
                                                    NUMBERS("off"), NUMBERS("epochs"), END};
static const struct bm_report_member plane[] = {TEXTS("names"),
                                                NEEDED("x", BM_REPORT_OBJECT, axis),
                                                NEEDED("y", BM_REPORT_OBJECT, axis),
                                                NEEDED("values", BM_REPORT_GRID, NULL),
                                                OBJECTS("points", place),
                                                OBJECTS("paths", projected),
                                                END};

/* ---- noise ---- */

static const struct bm_report_member noise[] = {TEXT("at"),
                                                NUMBER("update"),
                                                NUMBER("epoch"),
                                                NUMBER("slice"),
                                                NUMBER("slices"),
                                                NUMBER("gradient_squared"),
                                                NUMBER("trace"),
                                                NUMBER("scale"),
                                                NUMBER("low"),
                                                NUMBER("high"),
                                                END};
static const struct bm_report_member published[] = {NUMBER("start"), NUMBER("average"), END};
static const struct bm_report_member average[] = {NUMBER("scale"),
                                                  NUMBER("low"),
                                                  NUMBER("high"),
                                                  ANY("from"),
                                                  OBJECT("published", published),
                                                  NUMBER("within"),
                                                  END};
static const struct bm_report_member knee[] = {TEXT("record"),
                                               NUMBER("target"),
                                               NUMBERS("batches"),
                                               NUMBERS("updates"),
                                               NUMBERS("examples"),
                                               NUMBER("smallest_updates"),
                                               NUMBER("smallest_examples"),
                                               NUMBER("critical_batch"),
                                               NUMBER("low"),
                                               NUMBER("high"),
                                               NUMBER("points"),
                                               END};

/* ---- All ---- */

static const char *const of_path[] = {"updates", "points", "examples", "seconds", "losses", NULL};
static const char *const of_leave[] = {"curve.updates", "curve.losses", NULL};
static const char *const of_walk[] = {"t", "losses", "quadratic", NULL};
static const char *const of_line[] = {"t",         "train.loss",    "train.accuracy",
                                      "test.loss", "test.accuracy", NULL};
static const char *const of_knee[] = {"batches", "updates", "examples", NULL};

static const struct {
    const char *name;
    const struct bm_report_member *members;
    const char *const *parallel;
} parts[] = {{"training", training, NULL},
             {"contour", contour, NULL},
             {"path", path, of_path},
             {"count", count, NULL},
             {"saddle", saddle, NULL},
             {"leave", leave, of_leave},
             {"weights", weights, NULL},
             {"spectrum", spectrum, NULL},
             {"walk", walk, of_walk},
             {"sharpness", sharpness, NULL},
             {"filter_line", filter_line, of_walk},
             {"comparison", comparison, NULL},
             {"line", line, of_line},
             {"distance", distance, NULL},
             {"plane", plane, NULL},
             {"noise", noise, NULL},
             {"average", average, NULL},
             {"knee", knee, of_knee}};

const struct bm_report_member *bm_report_landscape_part(const char *part) {
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].name, part) == 0) {
            return parts[i].members;
        }
    }
    return NULL;
}

const char *const *bm_report_landscape_parallel(const char *part) {
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].name, part) == 0) {
            return parts[i].parallel;
        }
    }
    return NULL;
}
