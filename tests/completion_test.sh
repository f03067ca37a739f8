#!/usr/bin/env bash
# `batchmark completion`: bash and zsh (where there is one) offer the commands, the options of `--help` and their values.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

mkdir "$work/here" # what is in it is completed
cd "$work/here"
program=$BM_TEST_PROGRAM
mkdir folder
touch file.ini

# The first column of the help: all options of a command.
options_of() { "$program" "$1" --help | sed -n 's/^ \{2,6\}\(-., \)\?\(--[a-z-]*\).*/\2/p' | LC_ALL=C sort -u; }
commands=$("$program" --help | sed -n '/^commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 12 ] || fail "commands: $commands"

# ---- bash ----

"$program" completion bash >../batchmark.bash
# shellcheck disable=SC1091  # the file that was just made
source ../batchmark.bash
complete -p batchmark >/dev/null
# offered WORDS...: what is offered for the last of them
offered() {
    COMP_WORDS=(batchmark "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _batchmark
    [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort -u
}
# expect "WORDS OFFERED" WORDS...
expect() {
    local wanted=$1 found
    shift
    found=$(offered "$@" | paste -sd ' ')
    [ "$found" = "$wanted" ] || fail "bash, batchmark $*: expected \"$wanted\", found \"$found\""
}
expect "$(printf '%s\n' "$commands" --help --version | LC_ALL=C sort | paste -sd ' ')" ''
expect landscape la
for command in $commands; do
    [ "$(offered "$command" --)" = "$(options_of "$command")" ] || fail "bash: the options of $command"
done
expect --model run --mod
expect 'mlp' run --model m
expect 'f1 f2' run -m f
expect 'mlp,f1 mlp,f2' run --model mlp,f
expect 'mlp' run --model = m
expect 'c1 c2 custom f1 f2 mlp' train --model =
expect 'file.ini folder' run --config f
expect 'folder' run --data-dir f
expect 'csv=' run --export c
expect 'file.ini folder' run --export csv = f
expect '' run --epochs 1
expect 'escape' landscape e
expect 'file.ini folder' landscape f
expect 'file.ini folder' report f
expect '' list f
expect 'bash zsh' completion ''
for name in $("$program" data list | sed -n 's/^  \([a-z][a-z0-9-]*\) .*/\1/p'); do
    [ "$name" = synthetic ] || offered data fetch "$name" | grep -qxF "$name" || fail "bash: the data set $name"
done

for words in '' fish 'bash zsh'; do
    code=0
    # shellcheck disable=SC2086  # the words are the arguments
    "$program" completion $words >../out 2>../err || code=$?
    [ "$code $(wc -c <../out) $(wc -l <../err)" = '2 0 1' ] || fail "completion $words: exit code $code"
done

# ---- zsh ----

if ! command -v zsh >/dev/null; then
    printf 'no zsh here (package zsh): its completion was not looked at\n'
    exit 0
fi
"$program" completion zsh >../_batchmark
lines=('batchmark la' 'batchmark run -m mlp,f' 'batchmark run --model=m' 'batchmark run --config f' 'batchmark run --data-dir f'
    'batchmark run --export c' 'batchmark run --export csv=f' 'batchmark landscape e' 'batchmark report f' 'batchmark completion ')
expected='> batchmark la
landscape
> batchmark run -m mlp,f
f1
f2
> batchmark run --model=m
mlp
> batchmark run --config f
file.ini
folder
> batchmark run --data-dir f
folder
> batchmark run --export c
csv
> batchmark run --export csv=f
file.ini
folder
> batchmark landscape e
escape
> batchmark report f
file.ini
folder
> batchmark completion 
bash
zsh'
for command in $commands; do
    lines+=("batchmark $command --")
    # Those with a value end in "=", which is not told here.
    expected+=$'\n'"> batchmark $command --"$'\n'$(options_of "$command")
done
found=$(HOME=$work LC_ALL=C zsh -f "$BM_TEST_SOURCE_DIR/tests/support/zsh_completions.zsh" ../_batchmark "${lines[@]}")
diff <(printf '%s\n' "$expected" | sed '/^$/d') <(printf '%s\n' "$found" | sed '/^$/d') || fail 'zsh'
printf 'ok\n'
