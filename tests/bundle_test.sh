#!/usr/bin/env bash
# A bundle runs where it is unpacked: with a space in the folder's name, without an environment, from another folder, with
# libraries of its own; its gpu-host checks, measures and leaves files that can be passed on, and says when something broke.
set -euo pipefail

fail() {
    printf 'bundle_test: %s\n' "$1" >&2
    exit 1
}

skip() {
    printf 'bundle_test: skipped: %s\n' "$1"
    exit 77
}

[ -z "${BM_TEST_SANITIZE-}" ] || skip "a bundle with sanitizers is for nobody"
[ "$(uname -m)" = x86_64 ] || skip "bundles are for x86-64"
for tool in objdump ldd tar gzip; do
    command -v $tool >/dev/null || skip "no $tool"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
clean=(env -i "PATH=/usr/local/bin:/usr/bin:/bin" "HOME=$work/home")
mkdir home elsewhere "a folder"

# ---- Making it ----

data=fashion-mnist
"$BM_TEST_PROGRAM" data list | grep -A 1 '^ *fashion-mnist' | grep -q ' in ' || data=none
"$BM_TEST_SOURCE_DIR/ci/bundle" --no-install --build "$BM_TEST_BINARY_DIR" --data $data --output "$work/bundle.tar.gz" \
    >made.txt 2>&1 || fail "$(tail -n 3 made.txt)"
grep -q 'MiB  .*bundle.tar.gz' made.txt || fail "expected a size, found $(cat made.txt)"
tar -tzf bundle.tar.gz >names.txt
sort -c names.txt 2>/dev/null || LC_ALL=C sort -c names.txt || fail "the archive is not sorted"
[ "$(tar -tvzf bundle.tar.gz | awk '{ print $2, $4, $5 }' | sort -u | wc -l)" -eq 1 ] ||
    fail "expected one owner and one date in the archive"
tar -xzf bundle.tar.gz -C "a folder"
top=$(echo "$work/a folder"/batchmark-*-linux-x86_64)
[ -x "$top/batchmark" ] || fail "expected a program in $top"
for name in blas onednn torch; do
    [ ! -e "$top/lib/batchmark/bm_$name.so" ] || fail "a rival that nobody asked for: $name"
done

# ---- Libraries ----

outside='linux-vdso|ld-linux-x86-64|libc\.so|libm\.so|libdl\.so|libpthread\.so|librt\.so'
for file in "$top/bin/batchmark" "$top"/lib/batchmark/bm_*.so "$top"/lib/batchmark/shared/*; do
    "${clean[@]}" ldd "$file" >ldd.txt 2>&1 || fail "ldd ${file##*/}: $(cat ldd.txt)"
    ! grep 'not found' ldd.txt || fail "${file##*/} lacks a library"
    case $file in */shared/*) continue ;; esac
    found=$(grep -vE "$outside" ldd.txt | grep -vF "$top/" || true) # none is what is hoped for
    [ -z "$found" ] || fail "${file##*/} takes from outside: $found"
done

# ---- Running it ----

cd elsewhere
"${clean[@]}" "$top/batchmark" list >list.txt 2>err.txt || fail "list: $(cat err.txt)"
grep -qF "scalar:0" list.txt || fail "list shows no scalar: $(cat list.txt)"
grep -qF "$top" list.txt || fail "list does not show the bundle's presets: $(cat list.txt)"
[ $data = none ] || grep -qE ' in .*linux-x86_64/.*share/batchmark/data/fashion-mnist$' list.txt ||
    fail "list does not show the bundle's data: $(cat list.txt)"
images=()
[ $data != none ] || images=(--dataset synthetic)
ln -s "$top/batchmark" link
[ "$("${clean[@]}" ./link --version)" = "$("$BM_TEST_PROGRAM" --version)" ] || fail "it does not start through a link"
for program in "$top/batchmark" "$top/bin/batchmark"; do
    "${clean[@]}" "$program" run --preset quick --backend scalar,null --batch 1 --cell-time 20ms --epoch-time 1ms \
        --roofline none "${images[@]}" -o run.jsonl >run.txt 2>err.txt || fail "run: $(cat err.txt)"
    "${clean[@]}" "$program" report run.jsonl -o page.html >page.txt 2>err.txt || fail "report: $(cat err.txt)"
    rm page.html
    [ "$(grep -c '"status":"ok"' run.jsonl)" -eq 2 ] || fail "run: $(cat run.txt)"
    rm run.jsonl
    images=(--dataset synthetic)
done

# ---- gpu-host ----

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
for name in environment.txt log.txt conformance.jsonl checks.jsonl lecture.jsonl sweep.jsonl cpu.jsonl; do
    [ -s "out/$name" ] || fail "gpu-host left no $name"
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
