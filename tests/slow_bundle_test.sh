#!/usr/bin/env bash
# The gpu-host of a bundle: it checks, measures and leaves files that can be passed on, and says when something broke.
set -euo pipefail

# shellcheck source=tests/support/bundle.sh
. "$BM_TEST_SOURCE_DIR/tests/support/bundle.sh"

cd elsewhere
icd=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json
if [ ! -e "$top/lib/batchmark/bm_vulkan.so" ] || [ ! -e $icd ]; then
    skip "gpu-host: no vulkan backend or no software device"
fi
clean+=("VK_ICD_FILENAMES=$icd")

# A device that is not there: each step says so at once, and the exit code does.
status=0
"${clean[@]}" "$top/ci/gpu-host" --quick --device nonesuch --torch-device none --time-limit 60s --output broken \
    >broken.txt 2>&1 || status=$?
[ $status -eq 1 ] || fail "gpu-host without its device: expected exit code 1, found $status: $(tail -n 5 broken.txt)"
grep -q '^step sweep: [1-9]' broken/environment.txt || fail "gpu-host did not go on: $(cat broken/environment.txt)"

"${clean[@]}" "$top/ci/gpu-host" --quick --device llvmpipe --torch-device none --time-limit 4m --output out >out.txt 2>&1 ||
    fail "gpu-host: status $?: $(tail -n 20 out.txt)"
for file in environment.txt log.txt conformance.jsonl checks.jsonl lecture.jsonl sweep.jsonl cpu.jsonl; do
    [ -s "out/$file" ] || fail "gpu-host left no $file"
done
[ "$(find out -mindepth 1 | wc -l)" -le 9 ] || fail "gpu-host: expected at most 9 files, found $(ls out)"
grep -q '"name":"calls.params".*"status":"pass"' out/conformance.jsonl || fail "gpu-host: $(cat out/conformance.jsonl)"
! grep -rlwF -e "$work" -e "$HOME/" -e "$(uname -n)" out || fail "gpu-host: a folder or the name of the host in its results"
if command -v python3 >/dev/null; then
    grep -q '^| custom, vulkan: update with wait at 1 | [0-9]' out/summary.md || fail "summary: $(cat out/summary.md)"
    grep -q 'cells: [0-9]* ok\.$' out/summary.md || fail "summary: not all checks are well: $(cat out/summary.md)"
fi

# With a PyTorch the two take turns.
python3 -c 'import torch' 2>/dev/null || exit 0
"${clean[@]}" python3 "$top/results/gpu_rounds.py" --batchmark "$top/batchmark" --backend vulkan:llvmpipe --work mlp=1 \
    --rounds 1 --seconds 0.02 --cell-time 50ms --python python3 --torch-device cpu -o rounds.jsonl 2>err.txt ||
    fail "gpu_rounds.py: $(cat err.txt)"
cp rounds.jsonl out/
python3 "$top/results/gpu_summary.py" out >summary.md
grep -q '^| 1 | [0-9]' summary.md || fail "summary: no rounds: $(cat summary.md)"
