#!/usr/bin/env bash
# The author's first minutes with an installation that was moved: `batchmark new` makes a folder that builds by CMake's preset
# and by make with pkg-config, both pass `check`, and a run times them; what it refuses, it refuses in one line and leaves
# nothing behind.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "an installation with sanitizers is for nobody"
export HOME=$work/home XDG_STATE_HOME=$work/state
unset BATCHMARK_PLUGINS
mkdir "$HOME"

# A blank in the path: presets, makefiles and flags must stand it.
install_program "$work/first"
mv "$work/first" "$work/a prefix"
prefix="$work/a prefix"
program=$prefix/bin/batchmark
CMAKE_GENERATOR=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$BM_TEST_BINARY_DIR/CMakeCache.txt")
export CMAKE_GENERATOR
mkdir "$work/here"
cd "$work/here"

# quietly COMMAND...: its output is shown only if it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }
}

# expect_plugin FILE CASES: the contract's form, nothing else exported, and the cases passed that tell builds apart: the code
# passes them all in conformance.mychip.
expect_plugin() {
    local exported
    exported=$(nm -D --defined-only "$1" | awk '{ print $3 }')
    [ "$exported" = bm_plugin_entry ] || fail "$1 exports ${exported//$'\n'/ }"
    quietly "$program" check "$1" --filter "$2"
    grep -qE '^(of the cases that ran, )?passes conformance .* 0 failed' "$work/log" || fail "check of $1: $(tail -n 1 "$work/log")"
}

# build FOLDER NAME CASES TYPE LEVEL: both ways, without a warning, as CMake's build type and at a level of optimization.
build() {
    (
        cd "$1"
        quietly cmake --preset release -DCMAKE_C_FLAGS=-Werror "-DCMAKE_BUILD_TYPE=$4"
        quietly cmake --build --preset release
        quietly make CFLAGS="$5 -Werror"
    )
    expect_plugin "$1/build/bm_$2.so" "$3"
    expect_plugin "$1/bm_$2.so" "$3"
}

quietly "$program" new mychip
[ "$(find . -name '*.??????')" = "" ] || fail "left beside it: $(ls)"
build mychip mychip '@(file|calls|memory).*' Release -O2

# Another name everywhere, in a folder of another name that was there already; hyphens are no part of a C name.
mkdir other
quietly "$program" new my-2nd_chip other/
if grep -rIl -e mychip -e MYCHIP -e '@BATCHMARK' other; then
    fail "the template's own words are left"
fi
[ "$(find other -type f | wc -l)" = "$(find "$prefix/share/batchmark/template" -type f | wc -l)" ] || fail "files are missing"
build other my-2nd_chip 'file.*' None -O0 # the same code

# Where make and CMake install it: found without --plugin.
quietly cmake --install mychip/build --prefix "$HOME/.local"
quietly make -C other install DESTDIR="$work/package"
[ -e "$work/package$prefix/lib/batchmark/bm_my-2nd_chip.so" ] || fail "make install: $(find "$work/package")"
quietly "$program" list
grep -q 'mychip' "$work/log" || fail "list does not show ~/.local/lib/batchmark: $(cat "$work/log")"

# It is measured like any other, and every cell is right.
sed 's/^layers = .*/layers = dense 24, relu, dense 10/' "$BM_TEST_SOURCE_DIR/tests/support/small.ini" >small.ini
quietly "$program" run --config small.ini --roofline none --optimizer sgd,momentum --micro-batch 5 \
    --cell-time 20ms --epoch-time 1ms --plugin mychip/build/bm_mychip.so --backend mychip --batch 1,64 \
    --option mychip.piece=3 -o record.jsonl
python3 - <<'PYTHON'
import json
cells = [o for o in map(json.loads, open("record.jsonl")) if o["kind"] == "cell"]
assert len(cells) == 4 and all(c["status"] == "ok" and c["check"]["status"] == "ok" for c in cells), cells
# Without write_state a session is made anew for every block: with the option that the first one had.
assert all(f"piece={min(c['batch'], 3)}\n" in c["plugin"]["describe"] for c in cells), cells
PYTHON
# Without options, as installed; what it does not have it says.
quietly "$program" run --config small.ini --roofline none --optimizer momentum,adam --backend mychip --batch 7 -o adam.jsonl
grep -q '"status":"ok"' adam.jsonl || fail "the run without options has no cell"
grep -q 'optimizer: expected sgd (0) or momentum (1), found 5' adam.jsonl || fail "adam is not refused with the reason"

# refused CODE TEXT COMMAND...: that exit code, the text in the one line, and nothing new in the folder.
refused() {
    local code=$1 text=$2 found=0 line before after
    shift 2
    before=$(find .)
    line=$("$@" 2>&1 >/dev/null) || found=$?
    [ "$found" = "$code" ] || fail "expected exit code $code, found $found: $*: $line"
    [[ $line != *$'\n'* ]] || fail "expected one line, found: $line"
    [[ $line == "batchmark new: "*"$text"* ]] || fail "expected \"$text\" in: $line"
    after=$(find .)
    [ "$before" = "$after" ] || fail "left behind by $*: $after"
}

for name in "" Chip 2nd -- _chip "my chip" my/chip ../chip bm.so "$(printf 'a%.0s' {1..32})"; do
    refused 2 'NAME: expected a small letter' "$program" new -- "$name"
done
refused 2 'expected a name' "$program" new
refused 2 'bm_scalar.so' "$program" new scalar
refused 2 'mychip: expected nothing or an empty folder, found something' "$program" new mychip
refused 2 'small.ini: expected nothing or an empty folder, found something' "$program" new chip small.ini
refused 2 'small.ini/chip: cannot make this folder' "$program" new chip small.ini/chip
refused 2 'nowhere/chip: cannot make this folder' "$program" new chip nowhere/chip
refused 2 '.: expected a folder other than the current one' "$program" new chip .
refused 2 'expected at most 2 words' "$program" new chip there too
refused 2 '--prefix: expected the folder of an installation, found nowhere' "$program" new chip --prefix nowhere
refused 2 'found none in' "$program" new chip --prefix "$HOME"
refused 2 'runs from a build tree' "$BM_TEST_PROGRAM" new chip
if [ "$(id -u)" != 0 ]; then
    mkdir closed
    chmod 500 closed
    refused 2 'closed/chip: cannot make this folder' "$program" new chip closed/chip
fi
for character in '"' "\\" '$' '#' ';' ':' $'\n'; do
    mkdir "$work/x$character"
    cp -r "$prefix/include" "$work/x$character"
    refused 2 '--prefix: expected a path without' "$program" new chip --prefix "$work/x$character"
done

# Files that cannot be written: a disk that is full, here by a limit.
full() {
    trap '' XFSZ
    ulimit -f 0
    exec "$program" new full
}
refused 8 'cannot write this file' full

# The program of a build tree writes for an installation that is named.
quietly "$BM_TEST_PROGRAM" new named --prefix "$prefix"
sed 's/mychip/named/g; s/MYCHIP/NAMED/g' mychip/mychip.c | cmp - named/named.c || fail "the build tree's template is another"
grep -qF "\"CMAKE_PREFIX_PATH\": \"$prefix\"" named/CMakePresets.json || fail "--prefix is not in the preset"

mv "$prefix/share/batchmark/template" "$work/template"
refused 2 'template: expected a folder' "$program" new chip
