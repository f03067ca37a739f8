#!/usr/bin/env bash
# The list of conformance 1.0 is frozen: number, name and kind of each of its cases stand in golden/conformance-1.0.txt and in
# `check --list` alike; a later minor only adds. BM_TEST_UPDATE=1 writes the golden file, for a new major.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

golden=$BM_TEST_SOURCE_DIR/tests/golden/conformance-1.0.txt
list=$("$BM_TEST_PROGRAM" check --list)

# "300 calls.params required"
found=$(awk 'NR > 1 { print $1, $2, $3 == "property:" ? "property" : "required" }' <<<"$list")
version=$(sed -n '1s/^conformance \([0-9.]*\): .*/\1/p' <<<"$list")
if [ -n "${BM_TEST_UPDATE-}" ]; then
    printf '%s\n' "$found" >"$golden"
fi
[ "$(wc -l <"$golden")" -ge 100 ] || fail "expected at least 100 cases in $golden"
gone=$(comm -23 <(sort "$golden") <(sort <<<"$found"))
added=$(comm -13 <(sort "$golden") <(sort <<<"$found"))
[ -z "$gone" ] || fail "conformance 1.0 is frozen: expected these cases in the list, found them gone or changed: $gone"
case $version in
1.0) [ -z "$added" ] || fail "conformance 1.0 is frozen: expected a higher minor in conform.h for new cases: $added" ;;
1.*) [ -n "$added" ] || fail "expected new cases in conformance $version, found those of 1.0" ;;
*) fail "expected conformance 1.N, found \"$version\": another major has a golden file of its own" ;;
esac
[ "$(sort <<<"$found" | cut -d' ' -f1 | uniq -d)" = "" ] || fail "a number is given to two cases"
[ "$(cut -d' ' -f2 <<<"$found" | sort | uniq -d)" = "" ] || fail "a name is given to two cases"
