#include "student.h"

extern "C" {
#include "error.h"
}

#include <boost/math/distributions/students_t.hpp>

#include <cmath>

namespace {

using boost::math::policies::errno_on_error;
using boost::math::policies::promote_double;

// The arguments are checked here, and nothing of C++ leaves this file: the library answers with its
// best value where it would throw. In double, not promoted to long double, which takes five times
// as long and differs by 1e-14 of the value down to 1e-16.
using policy =
    boost::math::policies::policy<boost::math::policies::domain_error<errno_on_error>,
                                  boost::math::policies::pole_error<errno_on_error>,
                                  boost::math::policies::overflow_error<errno_on_error>,
                                  boost::math::policies::evaluation_error<errno_on_error>,
                                  promote_double<false>>;
using distribution = boost::math::students_t_distribution<double, policy>;

void check_freedom(double freedom) {
    BM_ASSERT(std::isfinite(freedom) && freedom > 0.0);
}

} // namespace

extern "C" double bm_student_quantile(double probability, double freedom) {
    check_freedom(freedom);
    BM_ASSERT(probability > 0.0 && probability < 1.0);
    return boost::math::quantile(distribution(freedom), probability);
}

extern "C" double bm_student_two_sided(double t, double freedom) {
    check_freedom(freedom);
    BM_ASSERT(!std::isnan(t));
    const double size = std::fabs(t);
    return std::isinf(size) ? 0.0 : 2.0 * cdf(boost::math::complement(distribution(freedom), size));
}
