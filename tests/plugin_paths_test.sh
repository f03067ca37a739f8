#!/usr/bin/env bash
# A plugin whose path cannot be told to a worker, which speaks UTF-8: its row says so, at once, and the others go on.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
cd "$work"
folder=$(printf 'd\377')
mkdir "$folder" || skip 'this file system takes UTF-8 only'
cp "$BM_TEST_PLUGIN_DIR/bm_null.so" "$folder"

# ends CODE COMMAND...: before an answer would be missed, for which `list` waits a minute.
ends() {
    local expected=$1 code=0
    shift
    timeout 50 "$@" >out 2>err || code=$?
    [ "$code" = "$expected" ] || { cat out err >&2; fail "$*: expected exit code $expected, found $code"; }
}
ends 0 "$program" list --plugin "$folder/bm_null.so"
grep -qa 'expected a path in UTF-8' out || { cat out >&2; fail 'list does not say why the plugin is not available'; }
ends 6 "$program" check "$folder/bm_null.so" --filter 'file.*' --hang-time 1h
grep -qa 'expected a path in UTF-8' err || { cat err >&2; fail 'check does not say why'; }
