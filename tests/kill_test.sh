#!/usr/bin/env bash
# kill -9 of the parent at random moments: the partial file parses, finished cells are kept as they were, --resume completes the
# same table, and no worker survives. The short form has half as many moments in half as long a run; a sanitizer looks only at
# memory and has fewer.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
support=$BM_TEST_SOURCE_DIR/tests/support
cd "$work"
seed=${BM_TEST_SEED:-$RANDOM}
RANDOM=$seed
printf 'seed %s (BM_TEST_SEED repeats it)\n' "$seed"

fail() {
    printf 'kill_test: %s (seed %s)\n' "$1" "$seed" >&2
    exit 1
}

cells() {
    python3 - "$1" <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    if not line.endswith("\n"):
        break
    o = json.loads(line)
    if o["kind"] == "cell":
        print(o["backend"], o["batch"], o["status"])
PYTHON
}

if [ -n "${BM_TEST_WHOLE-}" ]; then
    count=8
    kills=10
    few=()
else
    count=4
    kills=5
    few=(--batch "7,64")
fi
[ -z "${BM_TEST_SANITIZE-}" ] || kills=4
small=(run --config "$support/small.ini" --backend "null,scalar" --threads 1 "${few[@]}")
start=$(date +%s%N)
"$program" "${small[@]}" -o whole.jsonl >/dev/null 2>&1
length_ms=$((($(date +%s%N) - start) / 1000000))
cells whole.jsonl | sort >whole.cells
[ "$(wc -l <whole.cells)" = $count ] || fail "the whole run has not $count cells"

killed=0
resumed=0
# More, should all have come before a run had begun to write.
for i in $(seq $((3 * kills))); do
    [ "$i" -le "$kills" ] || [ $resumed = 0 ] || break
    file=k$i.jsonl
    "$program" "${small[@]}" -o "$file" >/dev/null 2>&1 &
    pid=$!
    # In each of as many parts of the run.
    moment_ms=$((((i - 1) % kills + 1) * length_ms / kills - RANDOM * length_ms / kills / 32768))
    sleep "$(printf '%d.%03d' $((moment_ms / 1000)) $((moment_ms % 1000)))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null || true # it was killed
    # The kernel ends the workers with their parent; give it a moment.
    for _ in $(seq 1200); do
        pgrep -f "^batchmark worker $pid( |\$)" >/dev/null || break
        sleep 0.05
    done
    ! pgrep -f "^batchmark worker $pid( |\$)" >/dev/null || fail "kill $i: a worker survives"
    if [ -e "$file" ]; then
        continue # it had ended before the signal came
    fi
    if [ ! -e "$file.partial" ]; then
        continue # it had not begun to write
    fi
    cells "$file.partial" | sort >before.cells || fail "kill $i at $moment_ms ms: the partial file does not parse"
    grep '"kind":"cell"' "$file.partial" | grep '}$' >before.lines || true # perhaps none
    "$program" "${small[@]}" --resume "$file" >resumed.txt 2>resumed.err ||
        { cat resumed.err >&2; fail "kill $i at $moment_ms ms: --resume failed"; }
    resumed=$((resumed + 1))
    cells "$file" | sort | diff whole.cells - >&2 || fail "kill $i at $moment_ms ms: another table"
    while read -r line; do
        grep -qF -- "$line" "$file" || fail "kill $i at $moment_ms ms: a finished cell was changed"
    done <before.lines
    [ ! -e "$file.partial" ] || fail "kill $i: a partial file is left"
    printf 'kill %d at %d of %d ms: %d cells kept\n' "$i" "$moment_ms" "$length_ms" "$(wc -l <before.cells)"
done
[ $resumed -gt 0 ] || fail "no run was killed while it wrote"
printf 'ok: %d runs killed, %d resumed\n' "$killed" $resumed
