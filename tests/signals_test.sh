#!/usr/bin/env bash
# Signals: a list that is interrupted says so, nohup is obeyed, and SIGTERM ends a run as Ctrl-C does (run_test; for kill -9
# see kill_test).
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
cd "$work"

# A worker that does not answer, here since it stops itself: Ctrl-C ends the list, and no other plugin is asked.
code=0
HOSTILE=stop "$program" list --plugin "$BM_TEST_BINARY_DIR/tests/plugins/hostile/bm_hostile.so" >list.txt 2>list.err &
pid=$!
for _ in $(seq 1200); do
    worker=$(pgrep -f "^batchmark worker $pid( |\$)" | head -n 1) || worker=
    ! grep -qs '^State:.T' "/proc/${worker:-none}/status" || break
    kill -0 $pid 2>/dev/null || break
    sleep 0.05
done
kill -INT $pid 2>/dev/null || true # it may have ended
wait $pid || code=$?
[ $code = 130 ] || fail "list, interrupted: expected exit code 130, found $code: $(cat list.err)"
[ "$(cat list.err)" = 'batchmark list: interrupted' ] || fail "list, interrupted: $(cat list.err)"
! grep -qE '^presets|scalar' list.txt || fail 'an interrupted list goes on'

# A run of some cells of half a second.
few=(run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --backend scalar --roofline none --threads 1 --epoch-time 1ms)

# Under nohup a closed terminal ends nothing.
code=0
(
    trap '' HUP
    exec "$program" "${few[@]}" --batch 1-3 -o kept.jsonl
) >run.txt 2>&1 &
pid=$!
for _ in $(seq 1200); do
    [ ! -s kept.jsonl.partial ] || break
    sleep 0.05
done
kill -HUP $pid
wait $pid || code=$?
[ $code = 0 ] || { cat run.txt >&2; fail "nohup: expected exit code 0, found $code"; }
[ -s kept.jsonl ] || fail 'nohup: no record'

# SIGTERM, as a service that is stopped sends it: what is done is kept and shown, and the exit code tells.
code=0
"$program" "${few[@]}" --batch 1-9 -o ended.jsonl >run.txt 2>&1 &
pid=$!
for _ in $(seq 1200); do
    ! grep -qs '"kind":"cell"' ended.jsonl.partial || break
    sleep 0.05
done
kill -TERM $pid
wait $pid || code=$?
[ $code = 143 ] || { cat run.txt >&2; fail "SIGTERM: expected exit code 143, found $code"; }
grep -q '"kind":"cell".*"batch":1,' ended.jsonl.partial || fail 'SIGTERM: a finished cell is lost'
grep -q -- '--resume ended.jsonl goes on' run.txt || { cat run.txt >&2; fail 'SIGTERM: no word on how to go on'; }
