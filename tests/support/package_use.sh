#!/usr/bin/env bash
# usage: package_use.sh TREE [COMMAND...]
#
# Uses the packages that are installed in TREE, a system of its own in which /proc is mounted, from inside of it: lists,
# measures, makes a page, reads what belongs to the program. Then COMMAND removes them, with the tree as its last argument,
# and nothing of theirs is left.
set -euo pipefail

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

tree=$1
shift
home=/tmp/package_use
mkdir -p "$tree$home"
out=$tree$home/out
# No variable of this machine goes in.
inside() {
    chroot "$tree" /usr/bin/env -i PATH=/usr/bin:/bin "HOME=$home" "$@" >"$out" 2>&1 || fail "$*: status $?: $(tail -n 5 "$out")"
}

inside batchmark list
grep -qF 'scalar:0' "$out" || fail "list shows no scalar: $(cat "$out")"
grep -qF '/usr/bin/../share/batchmark/presets/run/quick.ini' "$out" || fail "list shows no presets: $(cat "$out")"
inside batchmark run --preset quick --backend scalar,null --batch 1 --threads 1 --cell-time 20ms --time-limit 20m \
    --hang-time 5m --epoch-time 1ms --roofline none --dataset synthetic -o $home/run.jsonl
[ "$(grep -c '"status":"ok"' "$tree$home/run.jsonl")" -eq 2 ] || fail "run: $(cat "$out")"
inside batchmark report $home/run.jsonl -o $home/page.html
[ "$(stat -c %s "$tree$home/page.html")" -gt 200000 ] || fail "the page lacks Chart.js"
inside batchmark check --filter 'property.no-allocation' --threads 1 --hang-time 5m /usr/lib/batchmark/bm_scalar.so
grep -qF 'holds: 0 allocations' "$out" || fail "the allocator that counts was not found: $(cat "$out")"
gzip -dc "$tree/usr/share/man/man1/batchmark.1.gz" >"$out" || fail "the manual page is not there"
grep -q '^\.TH BATCHMARK 1' "$out" || fail "the manual page: $(head -n 1 "$out")"
bash -n "$tree/usr/share/bash-completion/completions/batchmark" || fail "the completion is not there"
[ -s "$tree/usr/share/zsh/vendor-completions/_batchmark" ] || fail "the completion for zsh is not there"
rm -r "${tree:?}$home"

[ $# -gt 0 ] || exit 0
"$@" "$tree" >"$tree/tmp/removed" 2>&1 || fail "removing: status $?: $(tail -n 5 "$tree/tmp/removed")"
rm "$tree/tmp/removed"
left=$(find "$tree" -xdev -path "$tree/proc" -prune -o -iname '*batchmark*' -print)
[ -z "$left" ] || fail "left behind by the packages: $left"
