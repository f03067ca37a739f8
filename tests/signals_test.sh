#!/usr/bin/env bash
# Signals: a list that is interrupted says so, nohup is obeyed, and SIGTERM ends a run as Ctrl-C does (run_test; for kill -9
# see kill_test).
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
cd "$work"

# A worker that does not answer, here since it was stopped: Ctrl-C ends the list, and no other plugin is asked. The worker may
# have answered before it is stopped; then once more.
code=0
for _ in $(seq 50); do
    code=0
    "$program" list --plugin "$BM_TEST_PLUGIN_DIR/bm_scalar.so" >list.txt 2>list.err &
    pid=$!
    worker=
    for _ in $(seq 2000); do
        worker=$(pgrep -f "^batchmark worker $pid( |\$)" | head -n 1) || worker=
        [ -z "$worker" ] || break
        kill -0 $pid 2>/dev/null || break
    done
    [ -z "$worker" ] || kill -STOP "$worker" 2>/dev/null || true # it may have ended
    kill -INT $pid 2>/dev/null || true                           # so may the list
    wait $pid || code=$?
    [ $code = 0 ] || break
done
[ $code = 130 ] || fail "list, interrupted: expected exit code 130, found $code: $(cat list.err)"
[ "$(cat list.err)" = 'batchmark list: interrupted' ] || fail "list, interrupted: $(cat list.err)"
! grep -q '^presets' list.txt || fail 'an interrupted list goes on'

# Under nohup a closed terminal ends nothing.
code=0
(
    trap '' HUP
    exec "$program" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --backend scalar --roofline none -o kept.jsonl
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
"$program" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --backend scalar --roofline none --cell-time 20s \
    --batch 1,7 -o ended.jsonl >run.txt 2>&1 &
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
