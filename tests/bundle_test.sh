#!/usr/bin/env bash
# A bundle runs where it is unpacked: with a space in the folder's name, without an environment, from another folder, with
# libraries of its own. A hundred images stand for its data set, and it is packed fast: slow_bundle_test.sh, which is its
# gpu-host, makes it as it is given away.
set -euo pipefail

export BATCHMARK_DATA=$XDG_CACHE_HOME/bundle_test
mkdir -p "$BATCHMARK_DATA/fashion-mnist"
for split in train t10k; do
    file=$BATCHMARK_DATA/fashion-mnist/$split
    { printf '\0\0\010\003\0\0\0\144\0\0\0\034\0\0\0\034' && head -c 78400 "$BM_TEST_PROGRAM"; } >"$file-images-idx3-ubyte"
    { printf '\0\0\010\001\0\0\0\144' && printf '\0\1\2\3\4\5\6\7\010\011%.0s' {1..10}; } >"$file-labels-idx1-ubyte"
done
gzip() {
    command gzip -1n
}
export -f gzip # for ci/bundle

# shellcheck source=tests/support/bundle.sh
. "$BM_TEST_SOURCE_DIR/tests/support/bundle.sh"

tar -tvzf bundle.tar.gz >listing.txt
awk '{ print $6 }' listing.txt >names.txt
sort -c names.txt 2>/dev/null || LC_ALL=C sort -c names.txt || fail "the archive is not sorted"
[ "$(awk '{ print $2, $4, $5 }' listing.txt | sort -u | wc -l)" -eq 1 ] ||
    fail "expected one owner and one date in the archive"
for rival in blas onednn torch; do
    [ ! -e "$top/lib/batchmark/bm_$rival.so" ] || fail "a rival that nobody asked for: $rival"
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
grep -qE ' in .*linux-x86_64/.*share/batchmark/data/fashion-mnist$' list.txt ||
    fail "list does not show the bundle's data: $(cat list.txt)"
images=()
ln -s "$top/batchmark" link
[ "$("${clean[@]}" ./link --version)" = "$("$BM_TEST_PROGRAM" --version)" ] || fail "it does not start through a link"
for program in "$top/batchmark" "$top/bin/batchmark"; do
    "${clean[@]}" "$program" run --preset quick --model custom --layers "dense 10" --backend scalar,null --batch 1 \
        --cell-time 20ms --epoch-time 1ms --time-limit 20m --hang-time 5m --roofline none "${images[@]}" -o run.jsonl \
        >run.txt 2>err.txt || fail "run: $(cat err.txt)"
    "${clean[@]}" "$program" report run.jsonl -o page.html >page.txt 2>err.txt || fail "report: $(cat err.txt)"
    rm page.html
    [ "$(grep -c '"status":"ok"' run.jsonl)" -eq 2 ] || fail "run: $(cat run.txt)"
    rm run.jsonl
    images=(--dataset synthetic)
done
