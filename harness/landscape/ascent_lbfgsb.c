/* L-BFGS-B 3.0 (Zhu, Byrd, Lu and Nocedal, ACM TOMS 23, 1997; Morales and Nocedal, ACM TOMS 38,
 * 2011), which asks for values by returning. */
#include "ascent_parts.h"

#include "error.h"
#include "library.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE 60 /* of Fortran's task and csave */

/* Fortran's setulb; the lengths of its two texts come last. */
typedef void (*lbfgsb_setulb)(const int *n,
                              const int *m,
                              double *x,
                              const double *l,
                              const double *u,
                              const int *nbd,
                              const double *f,
                              const double *g,
                              const double *factr,
                              const double *pgtol,
                              double *wa,
                              int *iwa,
                              char *task,
                              const int *iprint,
                              char *csave,
                              int *lsave,
                              int *isave,
                              double *dsave,
                              size_t task_size,
                              size_t csave_size);

struct lbfgsb {
    lbfgsb_setulb step;
    int n;
    int m;
    double *z;        /* [n] */
    double *low;      /* [n] */
    double *gradient; /* [n] */
    double *wa;       /* [(2m + 5) n + 11 m^2 + 8 m] */
    int *nbd;         /* [n]: 2, both bounds */
    int *iwa;         /* [3 n] */
    double f;
    char task[TEXT_SIZE];
    char csave[TEXT_SIZE];
    int lsave[4];
    int isave[44];
    double dsave[29];
};

static void close_method(struct lbfgsb *method) {
    free(method->z);
    free(method->low);
    free(method->gradient);
    free(method->wa);
    free(method->nbd);
    free(method->iwa);
}

static int32_t open_method(struct lbfgsb *method,
                           const struct bm_ascent_function *function,
                           struct bm_error *error) {
    const size_t n = function->count;
    const size_t m = BM_ASCENT_PAIRS;
    method->n = (int)n;
    method->m = (int)m;
    method->z = calloc(n, sizeof *method->z);
    method->low = calloc(n, sizeof *method->low);
    method->gradient = calloc(n, sizeof *method->gradient);
    method->wa = calloc((2 * m + 5) * n + 11 * m * m + 8 * m, sizeof *method->wa);
    method->nbd = calloc(n, sizeof *method->nbd);
    method->iwa = calloc(3 * n, sizeof *method->iwa);
    if (method->z == NULL || method->low == NULL || method->gradient == NULL ||
        method->wa == NULL || method->nbd == NULL || method->iwa == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "L-BFGS-B: expected memory for %llu dimensions, found less",
                       (unsigned long long)n);
    }
    for (size_t i = 0; i < n; i++) {
        method->low[i] = -function->bound[i];
        method->nbd[i] = 2;
    }
    memset(method->task, ' ', TEXT_SIZE);
    memcpy(method->task, "START", strlen("START"));
    return BM_STATUS_OK;
}

static int asks(const struct lbfgsb *method, const char *what) {
    return strncmp(method->task, what, strlen(what)) == 0;
}

/* It minimizes. */
static int32_t answer(struct lbfgsb *method,
                      const struct bm_ascent_function *function,
                      struct bm_ascent *ascent,
                      struct bm_error *error) {
    double value = NAN;
    int32_t status =
        bm_ascent_evaluate(function, method->z, ascent, &value, method->gradient, error);
    const int is_good = status == BM_STATUS_OK && isfinite(value);
    method->f = is_good ? -value : -BM_ASCENT_TOO_LOW;
    for (int i = 0; i < method->n; i++) {
        method->gradient[i] = is_good ? -method->gradient[i] : 0;
    }
    return status;
}

/* Until it has converged, or one of the limits is reached. */
static int32_t iterate(struct lbfgsb *method,
                       const struct bm_ascent_function *function,
                       uint32_t steps,
                       uint32_t evaluations,
                       struct bm_ascent *ascent,
                       struct bm_error *error) {
    const double exact = 0; /* factr and pgtol: it ends where it cannot go on */
    const int silent = -1;
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK) {
        method->step(&method->n, &method->m, method->z, method->low, function->bound, method->nbd,
                     &method->f, method->gradient, &exact, &exact, method->wa, method->iwa,
                     method->task, &silent, method->csave, method->lsave, method->isave,
                     method->dsave, TEXT_SIZE, TEXT_SIZE);
        ascent->steps += asks(method, "NEW_X") ? 1 : 0;
        if (ascent->steps == steps) {
            ascent->end = "all steps were made";
            break;
        }
        if (asks(method, "FG")) {
            if (ascent->evaluations == evaluations) {
                ascent->end = "no evaluations were left";
                break;
            }
            status = answer(method, function, ascent, error);
        } else if (!asks(method, "NEW_X")) {
            ascent->end =
                asks(method, "CONV") ? "there was no way up" : "a line search found no way up";
            break;
        }
    }
    return status;
}

int32_t bm_ascent_lbfgsb(const struct bm_ascent_function *function,
                         uint32_t steps,
                         uint32_t evaluations,
                         struct bm_ascent *ascent,
                         struct bm_error *error) {
    static const char *const names[] = {"setulb_", NULL};
    void (*functions[1])(void);
    struct lbfgsb method = {0};
    int32_t status = bm_library_open("liblbfgsb.so.0", "liblbfgsb0", names, functions, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    method.step = (lbfgsb_setulb)functions[0];
    status = open_method(&method, function, error);
    if (status == BM_STATUS_OK) {
        status = iterate(&method, function, steps, evaluations, ascent, error);
    }
    ascent->end = status == BM_STATUS_OK ? ascent->end : "an evaluation failed";
    close_method(&method);
    return status;
}
