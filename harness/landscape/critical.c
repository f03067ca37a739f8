#include "critical.h"

#include <math.h>
#include <stdio.h>

#define EVIDENCE_SIZE sizeof((struct bm_critical *)0)->evidence

const char *const bm_critical_names[] = {"minimum", "maximum", "saddle", "flat", "not critical"};

static double known(double error) {
    return isnan(error) ? 0 : error;
}

int bm_critical_sign(const struct bm_eigenvalue *found, int outward) {
    const double error = known(found->error);
    const double apart = known(found->residual) * fabs(found->value);
    const double inward = fabs(found->value) - error - apart;
    if (found->value * outward > error) {
        return outward;
    }
    return found->value * outward < 0 && inward > 0 ? -outward : 0;
}

static uint32_t kind_of(int smallest, int largest) {
    if (smallest < 0) {
        return largest > 0 ? BM_CRITICAL_SADDLE : BM_CRITICAL_MAXIMUM;
    }
    return largest > 0 ? BM_CRITICAL_MINIMUM : BM_CRITICAL_FLAT;
}

static int is_critical(const struct bm_critical *critical) {
    return critical->gradient_norm <= critical->allowed ||
           critical->change <= BM_CRITICAL_SHARE * fabs(critical->loss);
}

/* Where the sign of an end is not known, more cannot be said than "as far as it can be told". */
static const char *reservation(int smallest, int largest) {
    if (smallest == 0 && largest > 0) {
        return "; flat in some directions: the smallest cannot be told from 0";
    }
    if (smallest < 0 && largest == 0) {
        return "; flat in some directions: the largest cannot be told from 0";
    }
    return "";
}

static void tell(struct bm_critical *critical, int smallest, int largest) {
    char along[160] = "";
    if (!isnan(critical->change)) {
        (void)snprintf(along, sizeof along,
                       "; with the curvature %.3g along it the loss would change by %.2g, %.2g %%",
                       critical->curvature, critical->change,
                       100 * critical->change / fabs(critical->loss));
    }
    (void)snprintf(critical->evidence, EVIDENCE_SIZE,
                   "gradient norm %.3g, of which float32 explains %.2g%s; eigenvalues from %.4g +- "
                   "%.1g to %.4g +- %.1g%s",
                   critical->gradient_norm, critical->allowed, along, critical->smallest.value,
                   critical->smallest.error, critical->largest.value, critical->largest.error,
                   reservation(smallest, largest));
}

void bm_critical_judge(struct bm_critical *critical) {
    const int smallest = bm_critical_sign(&critical->smallest, -1);
    const int largest = bm_critical_sign(&critical->largest, 1);
    const double steepest = fmax(fabs(critical->smallest.value), fabs(critical->largest.value));
    const double rounding = critical->params_norm * 0x1p-24;
    critical->allowed = critical->gradient_noise + steepest * rounding;
    critical->change =
        critical->gradient_norm * critical->gradient_norm / (2 * fabs(critical->curvature));
    critical->kind = is_critical(critical) ? kind_of(smallest, largest) : BM_CRITICAL_MOVING;
    tell(critical, smallest, largest);
}
