#!/usr/bin/env bash
# The plugin that makes another one slower, as users meet it: never found by itself, and refused with the reason where it
# has nothing to slow down or something that is no plugin.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

delay=$BM_TEST_PLUGIN_DIR/delay/bm_delay.so
scalar=$BM_TEST_PLUGIN_DIR/bm_scalar.so
bad=$BM_TEST_BINARY_DIR/tests/plugins/bad

# expect CODE TEXT PLUGIN ARGUMENTS...: `batchmark check` of the wrapper with PLUGIN in it.
expect() {
    local code=$1 text=$2 found=0
    BATCHMARK_DELAY_PLUGIN=$3 "$BM_TEST_PROGRAM" check "$delay" --filter calls.params "${@:4}" >"$work/out" 2>&1 || found=$?
    [ $found -eq "$code" ] || fail "wrapping $3: expected exit code $code, found $found: $(cat "$work/out")"
    grep -qF -- "$text" "$work/out" || fail "wrapping $3: expected \"$text\", found $(cat "$work/out")"
}

expect 0 "300 calls.params" "$scalar"
expect 0 "300 calls.params" "$scalar" --option delay.percent=2.5
expect 6 "BATCHMARK_DELAY_PLUGIN: expected the file of the plugin to delay, found nothing" ""
expect 6 "bm_nothing.so: No such file or directory" "$work/bm_nothing.so"
echo "no shared object" >"$work/bm_text.so"
expect 6 "BATCHMARK_DELAY_PLUGIN: expected a shared object, found $work/bm_text.so: " "$work/bm_text.so"
expect 6 "expected the symbol bm_plugin_entry, found none" "$bad/bm_bad_no_symbol.so"
expect 6 "expected a table that begins with the magic of plugins" "$bad/bm_bad_wrong_magic.so"
expect 6 "expected ABI 1.0 and a table" "$bad/bm_bad_wrong_version.so"
expect 6 "expected another plugin, found this one" "$delay"
expect 3 'option percent: expected a number of percent, 0 .. 1000, found "much"' "$scalar" --option delay.percent=much
expect 3 'option "tile": unknown' "$scalar" --option delay.tile=8
if [ -z "${BM_TEST_SANITIZE-}" ]; then
    expect 7 "killed by SIGSEGV in load" "$bad/bm_bad_segfault_load.so"
fi

# Not found by itself, nor by a folder of plugins.
export BATCHMARK_DELAY_PLUGIN=$scalar
for folder in "" "$BM_TEST_PLUGIN_DIR"; do
    BATCHMARK_PLUGINS=$folder "$BM_TEST_PROGRAM" list >"$work/out" 2>&1 || fail "list: $(cat "$work/out")"
    if grep -q 'delay' "$work/out"; then
        fail "list shows the wrapper: $(grep delay "$work/out")"
    fi
done
"$BM_TEST_PROGRAM" list --plugin "$delay" >"$work/out" 2>&1 || fail "list: $(cat "$work/out")"
grep -q "delay:0" "$work/out" || fail "list --plugin does not show the wrapper: $(cat "$work/out")"
