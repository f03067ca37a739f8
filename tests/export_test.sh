#!/usr/bin/env bash
# What --export is not written over, whatever the path looks like: the record of the same command, and what the command reads.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

mkdir "$work/files"
cd "$work/files"

state() { find . -type f -exec sha256sum {} + | sort; }

# refused ARGUMENTS...: exit code 2 and one line, before anything is measured or written.
refused() {
    local code=0
    state >../before
    "$BM_TEST_PROGRAM" "$@" >../out 2>../err || code=$?
    [ $code = 2 ] || fail "$*: expected exit code 2, found $code: $(cat ../err)"
    [ "$(wc -l <../err)" = 1 ] || fail "$*: expected one line: $(cat ../err)"
    grep -qF 'expected another file than' ../err || fail "$*: $(cat ../err)"
    state | cmp -s ../before - || fail "$*: a file was written"
}

# ---- run ----

cp "$BM_TEST_SOURCE_DIR/tests/support/small.ini" .
run=(run --config small.ini --backend null --batch 7 -o r.jsonl --export)
for _ in 1 2; do
    refused "${run[@]}" csv=r.jsonl
    refused "${run[@]}" csv=./r.jsonl
    refused "${run[@]}" markdown="$PWD/r.jsonl"
    refused "${run[@]}" csv=../files/r.jsonl.partial
    refused "${run[@]}" csv=fine.csv --export html=r.jsonl
    printf '{"kind":"run"}\n' >r.jsonl # the second time there is one, of an earlier run
done
ln r.jsonl linked
ln -s r.jsonl soft
refused "${run[@]}" csv=linked
refused "${run[@]}" csv=soft
refused "${run[@]}" csv=small.ini

# ---- compare ----

printf '{"kind":"run"}\n' >base.jsonl
cp base.jsonl head.jsonl
refused compare base.jsonl head.jsonl --export csv=base.jsonl
refused compare base.jsonl head.jsonl --export csv=fine.csv --export junit=./head.jsonl
refused compare base.jsonl head.jsonl -o new.jsonl --export jsonl=new.jsonl
refused compare base.jsonl head.jsonl -o ./head.jsonl
mv head.jsonl head.jsonl.partial
refused compare base.jsonl head.jsonl --export csv=head.jsonl.partial
printf 'base' >base.so
printf 'head' >head.so
refused compare base.so head.so --export csv=base.so
refused compare base.so head.so -o head.so
refused compare --self-test base.so --export csv=base.so

# ---- history ----

mkdir -p runs/deep
cp base.jsonl runs/deep/a.jsonl
cp base.jsonl runs/b.jsonl.partial
refused history runs --export csv=runs/deep/a.jsonl
refused history ./runs/ --export csv=fine.csv --export table=runs/b.jsonl.partial
printf 'ok\n'
