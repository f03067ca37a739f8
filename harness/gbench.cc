// Facts of the library that this file is built around (read in the source of release 1.7.1):
// - Iterations(n) runs the body once, without the trial runs of 1, 10, 100, ... iterations that
//   would advance an optimizer's state; with manual time and without Iterations there is no limit
//   on the wall clock.
// - The manual time of a run is the sum of what SetIterationTime was given, and its iterations are
//   counted one by one also under KeepRunningBatch(k): the mean of one step is sum / iterations.
// - After SkipWithError the loop must still be entered (it runs no iteration), or a second
//   repetition aborts the process; so does every failed check of a library built without NDEBUG.
// - A second run with the default reporter uses it after it was freed, and every reporter of the
//   library prints: ours keeps two numbers.
// - Every option of the library also comes from an environment variable BENCHMARK_*, so each is
//   given explicitly; a wrong value would end the process with code 0.
#include "gbench.h"

extern "C" {
#include "error.h"
}

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <limits>
#include <new>
#include <ostream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

constexpr const char *default_name = "block";

uint64_t clock_ns(clockid_t clock) {
    timespec time{};
    (void)clock_gettime(clock, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

// One run of a block: what the body leaves behind.
struct measurement {
    const bm_gbench_block *block;
    double *samples_ns;
    bm_error *error;
    int32_t status = BM_STATUS_OK;
    uint64_t steps = 0;
    uint64_t process_cpu_ns = 0;
};

// Keeps what the library says of the one run, and prints nothing.
class quiet_reporter : public benchmark::BenchmarkReporter {
  public:
    quiet_reporter() {
        SetOutputStream(&nowhere_);
        SetErrorStream(&nowhere_);
    }

    bool ReportContext(const Context & /*context*/) override {
        return true;
    }

    void ReportRuns(const std::vector<Run> &runs) override {
        for (const Run &run : runs) {
            run_count++;
            iterations = static_cast<uint64_t>(run.iterations);
            seconds = run.real_accumulated_time;
        }
    }

    uint64_t run_count = 0;
    uint64_t iterations = 0;
    double seconds = 0.0;

  private:
    std::ostream nowhere_{nullptr};
};

[[noreturn]] void refuse_option() {
    _exit(2);
}

// The option that the library does not know, or nothing.
std::string initialize_library() {
    std::vector<std::string> words = {
        "batchmark",
        "--benchmark_list_tests=false",
        "--benchmark_filter=",
        "--benchmark_min_time=0.5",
        "--benchmark_min_warmup_time=0",
        "--benchmark_repetitions=1",
        "--benchmark_enable_random_interleaving=false",
        "--benchmark_report_aggregates_only=false",
        "--benchmark_display_aggregates_only=false",
        "--benchmark_format=console",
        "--benchmark_out_format=json",
        "--benchmark_out=",
        "--benchmark_color=false",
        "--benchmark_counters_tabular=false",
        "--benchmark_perf_counters=",
        "--v=0",
    };
    // The library keeps argv[0] and moves the pointers of the others.
    static std::string program = words[0];
    std::vector<char *> arguments = {program.data()};
    for (size_t i = 1; i < words.size(); i++) {
        arguments.push_back(words[i].data());
    }
    int count = static_cast<int>(arguments.size());
    arguments.push_back(nullptr);
    benchmark::Initialize(&count, arguments.data(), refuse_option);
    return count > 1 ? arguments[1] : "";
}

// Once in a process, whose threads may all measure: with --in-process each worker is one.
int32_t initialize(bm_error *error) {
    static const std::string unknown = initialize_library();
    if (!unknown.empty()) {
        return bm_fail(error, BM_STATUS_INTERNAL, "Google Benchmark %s does not know its option %s",
                       bm_gbench_version(), unknown.c_str());
    }
    return BM_STATUS_OK;
}

// The steps of one value, and the wait for them. Counts the steps that were asked for.
int32_t run_steps(measurement &run) {
    const bm_gbench_block &block = *run.block;
    for (uint64_t k = 0; k < block.per_value; k++) {
        run.steps++;
        int32_t status = block.step(block.context, run.error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return block.finish == nullptr ? BM_STATUS_OK : block.finish(block.context, run.error);
}

int32_t check_times(measurement &run, uint64_t value, uint64_t start_ns, uint64_t end_ns) {
    if (end_ns > start_ns) {
        return BM_STATUS_OK;
    }
    return bm_fail(run.error, BM_STATUS_INTERNAL,
                   "value %" PRIu64 " of %" PRIu64 ": the clock read %" PRIu64
                   " ns before and %" PRIu64 " ns after, expected a later time",
                   value + 1, run.block->values, start_ns, end_ns);
}

// The timed loop. Between the two readings of the clock there is nothing but the steps.
void measure(benchmark::State &state, measurement &run) {
    const bm_gbench_block &block = *run.block;
    uint64_t (*const now_ns)() = block.now_ns == nullptr ? monotonic_ns : block.now_ns;
    const auto per_value = static_cast<benchmark::IterationCount>(block.per_value);
    if (block.prepare != nullptr) {
        run.status = block.prepare(block.context, run.error);
        if (run.status != BM_STATUS_OK) {
            state.SkipWithError(run.error->text);
        }
    }
    uint64_t value = 0;
    const uint64_t cpu_start_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    while (state.KeepRunningBatch(per_value)) {
        const uint64_t start_ns = now_ns();
        int32_t status = run_steps(run);
        const uint64_t end_ns = now_ns();
        if (status == BM_STATUS_OK) {
            status = check_times(run, value, start_ns, end_ns);
        }
        if (status != BM_STATUS_OK) {
            run.status = status;
            state.SkipWithError(run.error->text);
            continue; // The library's loop ends by itself.
        }
        const auto elapsed_ns = static_cast<double>(end_ns - start_ns);
        run.samples_ns[value++] = elapsed_ns / static_cast<double>(block.per_value);
        state.SetIterationTime(elapsed_ns * 1e-9);
    }
    run.process_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_start_ns;
}

// Whatever happens to a block, the next one starts with an empty list.
struct registered_benchmarks {
    registered_benchmarks() = default;
    registered_benchmarks(const registered_benchmarks &) = delete;
    registered_benchmarks &operator=(const registered_benchmarks &) = delete;

    ~registered_benchmarks() {
        benchmark::ClearRegisteredBenchmarks();
    }
};

void run_through_library(measurement &run, quiet_reporter &reporter) {
    const bm_gbench_block &block = *run.block;
    registered_benchmarks registered;
    auto *benchmark =
        benchmark::RegisterBenchmark(block.name == nullptr ? default_name : block.name,
                                     [&run](benchmark::State &state) { measure(state, run); });
    benchmark->Iterations(static_cast<benchmark::IterationCount>(block.values * block.per_value))
        ->Repetitions(1)
        ->UseManualTime();
    (void)benchmark::RunSpecifiedBenchmarks(&reporter, nullptr, ".");
}

int32_t check_block(const bm_gbench_block &block, bm_error *error) {
    const uint64_t limit = std::numeric_limits<benchmark::IterationCount>::max();
    if (block.values == 0 || block.per_value == 0 || block.values > limit / block.per_value) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "block of %" PRIu64 " values of %" PRIu64
                       " steps: expected at least one step and at most %" PRIu64 " in all",
                       block.values, block.per_value, limit);
    }
    return BM_STATUS_OK;
}

int32_t check_counts(const measurement &run, const quiet_reporter &reporter) {
    const bm_gbench_block &block = *run.block;
    const uint64_t expected = block.values * block.per_value;
    if (reporter.run_count == 1 && run.steps == expected && reporter.iterations == expected) {
        return BM_STATUS_OK;
    }
    return bm_fail(run.error, BM_STATUS_INTERNAL,
                   "Google Benchmark reported %" PRIu64 " runs of %" PRIu64
                   " iterations and made %" PRIu64 " steps, expected 1 run of %" PRIu64,
                   reporter.run_count, reporter.iterations, run.steps, expected);
}

int32_t run_block(measurement &run, bm_gbench_result *result) {
    int32_t status = initialize(run.error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    quiet_reporter reporter;
    run_through_library(run, reporter);
    if (run.status != BM_STATUS_OK) {
        return run.status;
    }
    status = check_counts(run, reporter);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const auto steps = static_cast<double>(run.steps);
    result->steps = run.steps;
    result->iterations = reporter.iterations;
    result->mean_ns = reporter.seconds * 1e9 / steps;
    result->process_cpu_ns = static_cast<double>(run.process_cpu_ns) / steps;
    return BM_STATUS_OK;
}

// Nothing of C++ leaves this file.
int32_t run_block_without_throwing(measurement &run, bm_gbench_result *result) {
    try {
        return run_block(run, result);
    } catch (const std::bad_alloc &) {
        return bm_fail(run.error, BM_STATUS_NO_MEMORY,
                       "Google Benchmark ran out of memory in a block");
    } catch (const std::exception &exception) {
        return bm_fail(run.error, BM_STATUS_INTERNAL,
                       "exception in a block of Google Benchmark: %s", exception.what());
    } catch (...) {
        return bm_fail(run.error, BM_STATUS_INTERNAL,
                       "unknown exception in a block of Google Benchmark");
    }
}

// Only the library's own JSON says how it was built.
const char *find_build_type() {
    try {
        std::ostringstream stream;
        benchmark::JSONReporter reporter;
        reporter.SetOutputStream(&stream);
        (void)reporter.ReportContext(benchmark::BenchmarkReporter::Context());
        const std::string text = stream.str();
        if (text.find("\"library_build_type\": \"release\"") != std::string::npos) {
            return "release";
        }
        if (text.find("\"library_build_type\": \"debug\"") != std::string::npos) {
            return "debug";
        }
    } catch (const std::exception &) {
        return "unknown";
    }
    return "unknown";
}

} // namespace

extern "C" int32_t bm_gbench_run(const bm_gbench_block *block,
                                 double *samples_ns,
                                 bm_gbench_result *result,
                                 bm_error *error) {
    *result = bm_gbench_result{};
    int32_t status = check_block(*block, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    measurement run{};
    run.block = block;
    run.samples_ns = samples_ns;
    run.error = error;
    status = run_block_without_throwing(run, result);
    if (status != BM_STATUS_OK) {
        std::fill(samples_ns, samples_ns + block->values, 0.0);
    }
    return status;
}

extern "C" const char *bm_gbench_version(void) {
    return BM_GBENCH_VERSION;
}

extern "C" const char *bm_gbench_build_type(void) {
    static const char *const build_type = find_build_type();
    return build_type;
}
