#!/usr/bin/env bash
# `batchmark man`: every command, option and exit code is in it, and groff (where there is one) finds nothing to warn of.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
program=$BM_TEST_PROGRAM

"$program" man >batchmark.1
commands=$("$program" --help | sed -n '/^commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 12 ] || fail "commands: $commands"
for command in $commands; do
    sed -n "/^\.SS batchmark $command\$/,/^\.S/p" batchmark.1 >part
    [ -s part ] || fail "no part on $command"
    for option in $("$program" "$command" --help | sed -n 's/^ \{2,6\}\(-., \)\?--\([a-z-]*\).*/\2/p'); do
        grep -qF "\\-\\-${option//-/\\-}\\fR" part || fail "$command: no --$option"
    done
done
for code in 0 1 2 3 4 5 6 7 8 '129, 130, 143'; do
    grep -qF "\\fB$code\\fR" batchmark.1 || fail "no exit code $code"
done
! "$program" man page 2>/dev/null || fail 'a word too many was taken'
if command -v groff >/dev/null; then
    groff -man -ww -K utf8 -T utf8 -z batchmark.1 2>warnings
    [ ! -s warnings ] || fail "$(cat warnings)"
    groff -man -K utf8 -T utf8 -P -cbou batchmark.1 >text
    grep -qF -- '-B, --batch LIST' text || fail 'the text lacks --batch'
fi
printf 'ok\n'
