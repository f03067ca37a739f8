#include "surface.h"

#include "error.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* ---- Our own ---- */

/* c (x - v)^2 + a exp(-(x - p)^2 / (2 s^2)): a slope down to v, and a hill at p on it that closes
 * off a local minimum in front of it. */
#define HILL_SLOPE 0.05
#define HILL_VALLEY 6.0
#define HILL_HEIGHT 1.0
#define HILL_PLACE 2.0
#define HILL_WIDTH 0.6

static void hill_at(const double point[2], struct bm_surface_values *values) {
    double down = point[0] - HILL_VALLEY;
    double off = (point[0] - HILL_PLACE) / HILL_WIDTH;
    double top = HILL_HEIGHT * exp(-off * off / 2);
    *values = (struct bm_surface_values){
        .value = HILL_SLOPE * down * down + top,
        .gradient = {2 * HILL_SLOPE * down - top * off / HILL_WIDTH},
        .hessian = {2 * HILL_SLOPE + top * (off * off - 1) / (HILL_WIDTH * HILL_WIDTH)}};
}

static const struct bm_surface hill = {
    .name = "hill",
    .about = "a slope with a local minimum, a hill behind it, and a deeper valley beyond",
    .formula = "0.05 (x - 6)^2 + exp(-(x - 2)^2 / 0.72)",
    .dimensions = 1,
    .low = {-4},
    .high = {10},
    .at = hill_at,
    .critical_count = 3,
    .critical = {{0.855}, {1.845}, {6}},
};

/* 5 x^2 - y^2 / 2 + y^4 / 4: steep across, a saddle in the middle of the ridge y = 0, two valleys.
 */
static void saddle_at(const double point[2], struct bm_surface_values *values) {
    double x = point[0];
    double y = point[1];
    *values = (struct bm_surface_values){.value = 5 * x * x - y * y / 2 + y * y * y * y / 4,
                                         .gradient = {10 * x, y * y * y - y},
                                         .hessian = {10, 0, 3 * y * y - 1}};
}

static const struct bm_surface saddle = {
    .name = "saddle",
    .about = "a saddle between two valleys: down along y, ten times as steep up along x",
    .formula = "5 x^2 - y^2 / 2 + y^4 / 4",
    .dimensions = 2,
    .low = {-1.2, -1.6},
    .high = {1.2, 1.6},
    .at = saddle_at,
    .critical_count = 3,
    .critical = {{0, 0}, {0, 1}, {0, -1}},
};

#define VALLEY_RATIO 50.0

static void valley_at(const double point[2], struct bm_surface_values *values) {
    double x = point[0];
    double y = point[1];
    *values = (struct bm_surface_values){.value = (x * x + VALLEY_RATIO * y * y) / 2,
                                         .gradient = {x, VALLEY_RATIO * y},
                                         .hessian = {1, 0, VALLEY_RATIO}};
}

static const struct bm_surface valley = {
    .name = "valley",
    .about = "a long valley, fifty times as steep across as along",
    .formula = "(x^2 + 50 y^2) / 2",
    .dimensions = 2,
    .is_log = 1,
    .low = {-10, -2},
    .high = {4, 2},
    .at = valley_at,
    .critical_count = 1,
    .critical = {{0, 0}},
};

/* ---- Well-known test functions ---- */

/* Rosenbrock, "An automatic method for finding the greatest or least value of a function", The
 * Computer Journal 3 (1960). */
static void rosenbrock_at(const double point[2], struct bm_surface_values *values) {
    double x = point[0];
    double u = 1 - x;
    double w = point[1] - x * x;
    *values = (struct bm_surface_values){
        .value = u * u + 100 * w * w,
        .gradient = {-2 * u - 400 * x * w, 200 * w},
        .hessian = {2 - 400 * w + 800 * x * x, -400 * x, 200},
    };
}

static const struct bm_surface rosenbrock = {
    .name = "rosenbrock",
    .about = "Rosenbrock's curved valley, nearly flat along its floor",
    .formula = "(1 - x)^2 + 100 (y - x^2)^2",
    .dimensions = 2,
    .is_log = 1,
    .low = {-2, -1},
    .high = {2, 3},
    .at = rosenbrock_at,
    .critical_count = 1,
    .critical = {{1, 1}},
};

/* Himmelblau, "Applied nonlinear programming" (1972). */
static void himmelblau_at(const double point[2], struct bm_surface_values *values) {
    double x = point[0];
    double y = point[1];
    double u = x * x + y - 11;
    double w = x + y * y - 7;
    *values = (struct bm_surface_values){
        .value = u * u + w * w,
        .gradient = {4 * x * u + 2 * w, 2 * u + 4 * y * w},
        .hessian = {4 * u + 8 * x * x + 2, 4 * (x + y), 4 * w + 8 * y * y + 2},
    };
}

static const struct bm_surface himmelblau = {
    .name = "himmelblau",
    .about = "Himmelblau's function: four equal minima, four saddles between them, one maximum",
    .formula = "(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
    .dimensions = 2,
    .is_log = 1,
    .low = {-5, -5},
    .high = {5, 5},
    .at = himmelblau_at,
    .critical_count = 9,
    .critical = {{3, 2},
                 {-2.805, 3.131},
                 {-3.779, -3.283},
                 {3.584, -1.848},
                 {-0.271, -0.923},
                 {0.087, 2.884},
                 {3.385, 0.074},
                 {-3.073, -0.081},
                 {-0.128, -1.954}},
};

/* Beale, "On an iterative method for finding a local minimum of a function of more than one
 * variable" (1958): the sum of t_i^2, t_i = c_i - x + x y^i. */
static void beale_at(const double point[2], struct bm_surface_values *values) {
    static const double constants[] = {1.5, 2.25, 2.625};
    double x = point[0];
    double y = point[1];
    const double power[4] = {1, y, y * y, y * y * y};
    *values = (struct bm_surface_values){.value = 0};
    for (int i = 1; i <= 3; i++) {
        double t = constants[i - 1] - x + x * power[i];
        double tx = power[i] - 1;
        double ty = i * x * power[i - 1];
        double txy = i * power[i - 1];
        double tyy = i > 1 ? i * (i - 1) * x * power[i - 2] : 0;
        values->value += t * t;
        values->gradient[0] += 2 * t * tx;
        values->gradient[1] += 2 * t * ty;
        values->hessian[0] += 2 * tx * tx;
        values->hessian[1] += 2 * (tx * ty + t * txy);
        values->hessian[2] += 2 * (ty * ty + t * tyy);
    }
}

static const struct bm_surface beale = {
    .name = "beale",
    .about = "Beale's function: a flat valley beside steep walls, and a saddle at (0, 1)",
    .formula = "(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
    .dimensions = 2,
    .is_log = 1,
    .low = {-1, -1},
    .high = {4, 1.5},
    .at = beale_at,
    .critical_count = 2,
    .critical = {{3, 0.5}, {0, 1}},
};

const struct bm_surface *const bm_surfaces[] = {
    &hill, &saddle, &valley, &rosenbrock, &himmelblau, &beale, NULL,
};

const struct bm_surface *bm_surface_find(const char *name) {
    for (size_t i = 0; bm_surfaces[i] != NULL; i++) {
        if (strcmp(bm_surfaces[i]->name, name) == 0) {
            return bm_surfaces[i];
        }
    }
    return NULL;
}

/* ---- Critical points ---- */

/* point -= H^-1 g */
static void newton_step(const struct bm_surface *surface, double point[2]) {
    struct bm_surface_values v;
    surface->at(point, &v);
    if (surface->dimensions == 1) {
        point[0] -= v.gradient[0] / v.hessian[0];
        return;
    }
    double determinant = v.hessian[0] * v.hessian[2] - v.hessian[1] * v.hessian[1];
    point[0] -= (v.hessian[2] * v.gradient[0] - v.hessian[1] * v.gradient[1]) / determinant;
    point[1] -= (v.hessian[0] * v.gradient[1] - v.hessian[1] * v.gradient[0]) / determinant;
}

void bm_surface_critical(const struct bm_surface *surface, uint32_t index, double point[2]) {
    BM_ASSERT(index < surface->critical_count);
    point[0] = surface->critical[index][0];
    point[1] = surface->critical[index][1];
    for (uint32_t i = 0; i < 20; i++) {
        newton_step(surface, point);
    }
}

uint32_t bm_surface_nearest(const struct bm_surface *surface, const double point[2]) {
    uint32_t nearest = BM_SURFACE_CRITICAL_MAX;
    double least = HUGE_VAL;
    for (uint32_t i = 0; i < surface->critical_count; i++) {
        const double *at = surface->critical[i];
        double distance = hypot(point[0] - at[0], surface->dimensions > 1 ? point[1] - at[1] : 0);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    return nearest;
}

/* ---- What kind of a point ---- */

const char *bm_point_kind_name(uint32_t kind) {
    static const char *const names[] = {[BM_POINT_MINIMUM] = "minimum",
                                        [BM_POINT_SADDLE] = "saddle",
                                        [BM_POINT_MAXIMUM] = "maximum",
                                        [BM_POINT_FLAT] = "flat",
                                        [BM_POINT_MOVING] = "moving"};
    BM_ASSERT(kind < sizeof names / sizeof names[0]);
    return names[kind];
}

double bm_surface_gradient_norm(const struct bm_surface *surface,
                                const struct bm_surface_values *values) {
    return hypot(values->gradient[0], surface->dimensions > 1 ? values->gradient[1] : 0);
}

/* mean -+ sqrt((xx - yy)^2 / 4 + xy^2) */
void bm_surface_eigenvalues(const struct bm_surface *surface,
                            const struct bm_surface_values *values,
                            double eigenvalues[2]) {
    const double *h = values->hessian;
    if (surface->dimensions == 1) {
        eigenvalues[0] = eigenvalues[1] = h[0];
        return;
    }
    double mean = (h[0] + h[2]) / 2;
    double half = hypot((h[0] - h[2]) / 2, h[1]);
    eigenvalues[0] = mean - half;
    eigenvalues[1] = mean + half;
}

uint32_t bm_surface_kind(const struct bm_surface *surface, const struct bm_surface_values *values) {
    double eigenvalues[2];
    if (!(bm_surface_gradient_norm(surface, values) <= BM_POINT_TOLERANCE)) {
        return BM_POINT_MOVING;
    }
    bm_surface_eigenvalues(surface, values, eigenvalues);
    if (eigenvalues[0] < -BM_POINT_TOLERANCE && eigenvalues[1] > BM_POINT_TOLERANCE) {
        return BM_POINT_SADDLE;
    }
    if (fmin(fabs(eigenvalues[0]), fabs(eigenvalues[1])) <= BM_POINT_TOLERANCE) {
        return BM_POINT_FLAT;
    }
    return eigenvalues[0] > 0 ? BM_POINT_MINIMUM : BM_POINT_MAXIMUM;
}
