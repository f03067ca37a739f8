/* The frozen, numbered list. A number and a name are never given to another case; a case that goes
 * leaves a hole. Hundreds are groups. */
#include "cases.h"

#define REQUIRED 0u
#define NUMERIC BM_CONFORM_NUMERIC
#define PROPERTY BM_CONFORM_PROPERTY
#define UNLOADED BM_CONFORM_UNLOADED
#define ALLOCATIONS BM_CONFORM_ALLOCATIONS

/* clang-format off */
const struct bm_conform_case bm_conform_cases[] = {
    {100, REQUIRED, "file.exports", "bm_plugin_entry is the one symbol that the file exports",
     bm_conform_file_exports},
    {101, REQUIRED, "file.nodelete", "the file is never unloaded", bm_conform_file_nodelete},
    {102, REQUIRED, "file.now", "the file is bound when it is loaded", bm_conform_file_now},
    {103, REQUIRED, "file.dependencies", "the file names the libraries of all that it calls",
     bm_conform_file_dependencies},
    {104, UNLOADED, "file.floating-point", "loading keeps the rounding and floating-point mode",
     bm_conform_file_floating_point},
    {105, REQUIRED, "file.table", "the table and its strings are static, the strings one line each",
     bm_conform_file_table},
    {106, UNLOADED, "file.baseline", "entry, device_count and device_info run on any x86-64",
     bm_conform_file_baseline},
    {300, NUMERIC, "calls.params", "parameters come back bit by bit, also after a gradient",
     bm_conform_calls_params},
    {301, NUMERIC, "calls.state",
     "slots of the state start at 0, are kept apart, and survive a gradient",
     bm_conform_calls_state},
    {302, NUMERIC, "calls.fresh", "a new session has parameters and state of 0",
     bm_conform_calls_fresh},
    {303, NUMERIC, "calls.write-gradient",
     "apply makes its step with the gradient that was written",
     bm_conform_calls_write_gradient},
    {304, NUMERIC, "calls.accumulate-update",
     "an update that accumulates makes its step with the gradient of both slices",
     bm_conform_calls_accumulate_update},
    {305, NUMERIC, "calls.dropout", "dropout follows the number of the update, and only that",
     bm_conform_calls_dropout},
    {306, NUMERIC, "calls.evaluate",
     "evaluate leaves gradient, loss, parameters and running statistics",
     bm_conform_calls_evaluate},
    {307, NUMERIC, "calls.statistics", "running statistics start at 0 and 1 and follow the flags",
     bm_conform_calls_statistics},
    {308, NUMERIC, "calls.single-value",
     "a batch norm of one value passes no gradient and keeps its variance",
     bm_conform_calls_single_value},
    {309, NUMERIC, "calls.first-maximum", "of equal values in a window the first gets the gradient",
     bm_conform_calls_first_maximum},
    {310, REQUIRED, "calls.device-info",
     "devices have a name, a kind, and precisions as plugin.h has them",
     bm_conform_calls_device_info},
    {311, REQUIRED, "calls.describe",
     "the description is key=value lines and is cut where the host says",
     bm_conform_calls_describe},
    {312, REQUIRED, "calls.device-time", "times of the device are numbers",
     bm_conform_calls_device_time},
    {313, NUMERIC, "calls.many-pending",
     "thousands of calls that nobody waits for end at the same bits",
     bm_conform_calls_many_pending},
};
/* clang-format on */

const uint32_t bm_conform_case_count = sizeof bm_conform_cases / sizeof bm_conform_cases[0];
