#!/usr/bin/env bash
# What is particular to the vulkan backend: what is missing is said, software devices are named, the validation layer is
# silent, and what was compiled and tuned is kept.
#
# The short form leaves out a batch of all images, the widths of the lecture's network, and of the tuner all products but those
# of one layer, its choices before its file is full, and a file that is damaged, which is read as that of the compiled code is.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
support=$BM_TEST_SOURCE_DIR/tests/support
cd "$work"
export XDG_CACHE_HOME=$work/cache

[ -e "$BM_TEST_PLUGIN_DIR/bm_vulkan.so" ] || skip "the backend was not built"

# A copy lies in no build tree: it lists this plugin, and loads no other.
cp "$program" "$BM_TEST_PLUGIN_DIR/bm_vulkan.so" .
list() { BATCHMARK_PLUGINS=$work ./batchmark list; }

# Without a driver the list says what was expected.
VK_ICD_FILENAMES=$work/none.json list >none.txt
grep -q 'expected a Vulkan driver' none.txt || { cat none.txt >&2; fail "list does not say that there is no driver"; }

list >list.txt
grep -q 'llvmpipe.*software.*runs only when named' list.txt || skip "no software device (Debian: mesa-vulkan-drivers)"

# A driver compiles each product of each layer anew: the short form has few of them.
batches=7,5000
few=1,8
network=(--model mlp --dataset synthetic)
products=(--batch 64)
if [ -z "${BM_TEST_WHOLE-}" ]; then
    batches=7
    few=8
    network=(--layers "dense 10, relu, dense 10, relu, dense 10")
    products=(--layers "dense 10" --batch 33)
fi

# run NAME OPTIONS...: a short run on the software device, whose checks are all well.
run() {
    local name=$1
    shift
    "$program" run --config "$support/small.ini" --backend vulkan:llvmpipe --cell-time 1ms --epoch-time 1ms \
        --roofline none -o "$name.jsonl" "$@" >"$name.txt" 2>"$name.err" || { cat "$name.txt" "$name.err" >&2; fail "$name"; }
    python3 - "$name.jsonl" <<'PYTHON' || fail "$name: not all cells are well"
import json, sys
cells = [o for o in map(json.loads, open(sys.argv[1])) if o["kind"] == "cell"]
assert cells and all(c["status"] == "ok" and c["check"]["status"] == "ok" and c["software"] for c in cells), cells
PYTHON
}

says() {
    grep -q "$2" "$1.jsonl" || fail "$1: expected \"$2\" in the record"
}

run first --batch $batches
says first 'family=software'
says first 'start=cold'
# The device tells its own time, and what an update takes beyond it.
python3 "$support/check_record.py" first.jsonl >/dev/null || fail "the record is not what its readers rely on"
says first '"device_update": *{'
says first '"submission": *{'
run second --batch 7 --option vulkan.validate=1
says second 'start=warm'
says second 'validate=1'

# What is not the driver's data does not reach it.
for file in cache/batchmark/vulkan-*.cache; do
    printf 'x' | dd of="$file" bs=1 seek=30 conv=notrunc status=none
done
run third --batch 7
says third 'start=cold'

# What a GPU is told to do for one update of the lecture's network, or one of fewer numbers, and a handful of images.
run few "${network[@]}" --batch $few --option vulkan.family=gpu --hang-time 200s --time-limit 10m
for batch in ${few//,/ }; do
    counts=$(grep -o "dispatches\.update\.$batch=[0-9]*" few.jsonl) || fail "few: no number of dispatches of batch $batch"
    for count in ${counts//*=/}; do
        [ "$count" -le 8 ] || fail "expected at most 8 dispatches an update, found $counts"
    done
done

# The tuner tries the tiles, says what it chose, and knows it the next time.
tuned() {
    run "$1" "${products[@]}" --option vulkan.family=gpu --option vulkan.tune=1 --hang-time 200s --time-limit 10m "${@:2}"
    says "$1" 'tuner=on'
    says "$1" 'weight_gradient\.[0-9x]*=[0-9]*x[0-9]*x'
}
choices() {
    grep -o '[a-z_]*\(forward\|gradient\)\.[0-9x]*=[0-9x]*' "$1.jsonl" | sort -u
}
# knows BEFORE AFTER: the second of two runs has the choices of the first, and so nothing to write.
knows() {
    local file
    file=$(stat -c %i cache/batchmark/vulkan-*.tiles)
    tuned "$2"
    [ "$(choices "$1")" = "$(choices "$2")" ] || fail "$2: the tuner chose anew"
    [ "$file" = "$(stat -c %i cache/batchmark/vulkan-*.tiles)" ] || fail "$2: the tuner wrote what it had read"
}
tuned tuned --option vulkan.validate=1
if [ -n "${BM_TEST_WHOLE-}" ]; then
    knows tuned again
    for file in cache/batchmark/vulkan-*.tiles; do
        printf 'x' | dd of="$file" bs=1 seek=40 conv=notrunc status=none
    done
    tuned damaged
fi
# A file that is full, of products that nobody has any more: the oldest go, and what was tuned last is known the next time.
python3 - cache/batchmark/vulkan-*.tiles <<'PYTHON'
import struct, sys

def checksum(data):  # FNV-1a, 64 bits
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value

with open(sys.argv[1], "rb") as file:
    magic, size, _ = struct.unpack("<3Q", file.read(24))
    data = file.read()
version, count = struct.unpack("<2I", data[:8])
one = (len(data) - 8) // count
entry = bytearray(data[8:8 + one])
entries = b""
for number in range(4096):
    entry[0:4] = struct.pack("<I", 1 << 30 | number)  # a kind of product that there is not
    entries += entry
data = struct.pack("<2I", version, 4096) + entries
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<3Q", magic, len(data), checksum(data)) + data)
PYTHON
tuned full
knows full after

# A tile that is named is taken; vulkan_tiles_test has all of them, which give the same bits.
run tile1 "${products[@]}" --option vulkan.family=gpu --option vulkan.tile=1 --hang-time 200s --time-limit 10m
says tile1 tile=1
