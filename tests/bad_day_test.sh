#!/usr/bin/env bash
# What a bad day brings: closed and broken outputs, one processor, a small memory, a clock that steps back, a locale with decimal
# commas, paths with spaces and letters, no /dev/shm, read-only folders, full disks, two runs that write one file. Each has a
# clear outcome, and nothing that was measured is lost. Signals are in signals_test and in the tests of the commands.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
export HOME=$work XDG_STATE_HOME=$work/state XDG_CACHE_HOME=$work/cache
program=$BM_TEST_PROGRAM

fail() {
    printf 'failed: %s\n' "$1" >&2
    cat out err >&2 2>/dev/null || true # there may be none yet
    exit 1
}
cat >run.ini <<'INI'
backend = scalar
model = custom
layers = dense 4
dataset = synthetic
batch = 8
threads = 1
cell-time = 300ms
roofline = none
[synthetic]
shape = 1x4x4
classes = 4
train = 64
test = 8
seed = 1
INI
run() { "$program" run --config run.ini "$@"; }
# whole FILE: a record that is finished, has its cell, and nothing else but JSON
whole() {
    python3 - "$1" <<'PYTHON' || fail "$1 is no whole record"
import json, sys
objects = [json.loads(line) for line in open(sys.argv[1])]
cells = [o for o in objects if o["kind"] == "cell"]
assert objects[0]["kind"] == "run" and objects[-1]["kind"] == "end" and len(cells) == 1, objects
assert cells[0]["status"] == "ok" and cells[0]["update"]["median_ns"] > 0, cells
PYTHON
}
# ends CODE COMMAND...
ends() {
    local expected=$1 code=0
    shift
    "$@" >out 2>err || code=$?
    [ $code = "$expected" ] || fail "$*: exit code $code, expected $expected"
}
complaints() { grep -vc '^plan: ' err || true; } # 0 is an answer

# ---- Outputs ----

code=0
run -o closed.jsonl >&- 2>err || code=$?
[ $code = 8 ] || fail "closed output: exit code $code"
grep -qF 'standard output: cannot write it: Bad file descriptor' err || fail 'closed output'
[ "$(complaints)" = 1 ] || fail 'closed output: expected one line'
whole closed.jsonl
code=0
run -o none.jsonl <&- >&- 2>&- || code=$?
[ $code = 8 ] || fail "nothing open: exit code $code"
whole none.jsonl
run -o quiet.jsonl >out 2>&- || fail 'closed errors'
whole quiet.jsonl
{
    code=0
    run -o pipe.jsonl 2>err || code=$?
    printf '%s' $code >code
} | true
[ "$(cat code)" = 8 ] || fail "broken pipe: exit code $(cat code)"
whole pipe.jsonl
{
    code=0
    "$program" list 2>err || code=$?
    printf '%s' $code >code
} >/dev/full
[ "$(cat code) $(wc -l <err)" = '8 1' ] || fail "list on a full disk: exit code $(cat code)"

# ---- Paths, and two runs with one file ----

mkdir 'a folder, ä' 'd ö'
ends 0 run -o 'a folder, ä/a record é.jsonl' --export 'html=a folder, ä/page ü.html' --export 'markdown=a folder, ä/t.md'
whole 'a folder, ä/a record é.jsonl'
for file in 'page ü.html' t.md; do
    [ -s "a folder, ä/$file" ] || fail "$file is not there"
done
cp run.ini 'd ö/my run.ini'
cp "$BM_TEST_PLUGIN_DIR/bm_scalar.so" 'd ö/'
ends 0 env BATCHMARK_PLUGINS="$work/d ö" "$program" run --config 'd ö/my run.ini' -o 'd ö/r.jsonl'
whole 'd ö/r.jsonl'
ends 0 "$program" report 'a folder, ä' -o 'd ö/both.html'

run --batch 1,2,4,8,16,32,64 -o shared.jsonl >first.out 2>first.err &
first=$!
for _ in $(seq 600); do
    [ ! -s shared.jsonl.partial ] || break
    sleep 0.05
done
ends 2 run -o shared.jsonl
[ "$(complaints)" = 1 ] || fail 'two runs, one file: expected one line'
grep -qF 'shared.jsonl' err || fail 'two runs, one file'
wait $first || fail 'the first of two runs was disturbed'
[ "$(grep -c '"kind":"cell"' shared.jsonl)" = 7 ] || fail 'cells of the first run are lost'

# A full disk, here by a limit: what was measured is printed, and the torn record has not the name of a finished one.
full() { # full KIB COMMAND...
    (
        ulimit -f "$1"
        shift
        exec "$@"
    )
}
ends 8 full 16 "$program" run --config run.ini --batch 1,2,4,8,16,32,64 -o disk.jsonl
grep -q 'disk.jsonl.partial: cannot write it: File too large' err || fail 'a full disk: not named'
grep -q '^scalar ' out || fail 'a full disk: what was measured is not printed'
[ ! -e disk.jsonl ] || fail 'a full disk: a torn record has the name of a finished one'

# ---- The machine ----

if command -v taskset >/dev/null; then
    ends 0 taskset -c "$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')" "$program" run --config run.ini --threads 2 -o one.jsonl
    whole one.jsonl
    grep -q '"cores":1,' one.jsonl || fail 'one processor: the record tells of more'
else
    echo 'left out: one processor, which taskset would give'
fi
if [ -z "${BM_TEST_SANITIZE-}" ]; then # a sanitizer maps terabytes
    code=0
    (ulimit -v 60000 && run --config run.ini -o small.jsonl) >out 2>err || code=$?
    [ $code = 0 ] || fail "60 MB of memory: exit code $code"
    whole small.jsonl
    code=0
    # The second model does not fit; the first is not lost for that.
    (ulimit -v 200000 && run --model mlp,custom --layers 'dense 20000, dense 20000, dense 4' -o large.jsonl) >out 2>err || code=$?
    [ $code = 0 ] || fail "a model too large for its memory: exit code $code"
    grep -q '"model":"mlp".*"status":"ok"' large.jsonl || fail 'a small model beside one that is too large is lost'
    grep -q '"model":"custom.*"status":"skipped".*memory' large.jsonl || fail 'a model too large for its memory: no verdict'
fi
if unshare -m true 2>/dev/null; then
    ends 0 unshare -m sh -c "mount -t tmpfs -o size=4k,mode=000 none /dev/shm && exec '$program' run --config run.ini -o shm.jsonl"
    whole shm.jsonl
    mkdir -p read-only
    sealed() { unshare -m sh -c "mount -t tmpfs -o ro none read-only && $1"; }
    # Where nothing can be kept, nothing is measured.
    ends 2 sealed "exec '$program' run --config run.ini -o read-only/a.jsonl"
    grep -q 'read-only/a.jsonl.*: cannot write it: Read-only file system' err || fail 'a read-only folder: not named'
    ends 2 sealed "HOME=\$PWD/read-only XDG_STATE_HOME= exec '$program' run --config run.ini"
    grep -q 'read-only/.local: cannot make this folder: Read-only file system' err || fail 'a read-only home: not named'
    # A cache is not needed.
    ends 0 sealed "XDG_CACHE_HOME=\$PWD/read-only exec '$program' run --config run.ini --roofline auto -o sealed.jsonl"
    whole sealed.jsonl
    # The record is kept where only the export has no place.
    ends 8 sealed "exec '$program' run --config run.ini -o kept.jsonl --export csv=read-only/a.csv"
    grep -q 'read-only/a.csv: cannot write it: Read-only file system' err || fail 'a read-only folder of an export: not named'
    whole kept.jsonl
    # One page of room, which the second cell does not fit in.
    grep -v roofline run.ini >pair.ini
    ends 8 unshare -m sh -c "mount -t tmpfs -o size=4k none read-only && exec '$program' compare --config pair.ini --no-identical \
        --cell-time 2s --batch 8,16 -o read-only/pair.jsonl '$BM_TEST_PLUGIN_DIR/bm_scalar.so' '$BM_TEST_PLUGIN_DIR/bm_scalar.so'"
    grep -q 'read-only/pair.jsonl.partial: cannot write it: No space left on device' err || fail 'a full disk under compare: not named'
    grep -q '^scalar, batch 8 ' out || fail 'a full disk under compare: what was measured is not printed'
    ends 8 sealed "exec '$program' report kept.jsonl -o read-only/a.html"
    grep -q 'read-only/a.html.*Read-only file system' err || fail 'a read-only folder of a page: not named'
    ends 8 sealed "exec '$program' report kept.jsonl --export csv=read-only/a.csv"
    grep -q 'read-only/a.csv: cannot write it: Read-only file system' err || fail 'a read-only folder of a table: not named'
else
    echo 'left out: no /dev/shm and read-only folders, which take a mount namespace'
fi

# ---- Clock and locale ----

cat >clock.c <<'C'
/* A wall clock that goes back by an hour at every look at it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static long back;
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == 0) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int status = real(id, now);
    if (id == CLOCK_REALTIME) {
        now->tv_sec -= back += 3600;
    }
    return status;
}
time_t time(time_t *at) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (at != 0) {
        *at = now.tv_sec;
    }
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
C
if [ -z "${BM_TEST_SANITIZE-}" ]; then # which want to be the first library
    cc -shared -fPIC -O1 -o clock.so clock.c -ldl
    first=$(LD_PRELOAD=$work/clock.so date +%s)
    [ "$first" -lt $(($(date +%s) - 1800)) ] || fail 'the clock that steps back does not'
    ends 0 env LD_PRELOAD="$work/clock.so" "$program" run --config run.ini -o back.jsonl
    whole back.jsonl
    ends 0 env LD_PRELOAD="$work/clock.so" "$program" run --config run.ini --time-limit 5m -o back2.jsonl
    whole back2.jsonl
fi
if localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8" >/dev/null 2>&1; then
    cat >comma.c <<'C'
/* What a library may do to the process that it is loaded into. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void choose(void) {
    if (setlocale(LC_ALL, "") == 0 || localeconv()->decimal_point[0] != ',') {
        fprintf(stderr, "no decimal comma\n");
        abort();
    }
}
C
    if [ -z "${BM_TEST_SANITIZE-}" ]; then
        cc -shared -fPIC -O1 -o comma.so comma.c
        # A library of the process or of a worker chooses commas; the program keeps to points.
        comma=(env LOCPATH="$work" LC_ALL=de_DE.UTF-8 LD_PRELOAD="$work/comma.so")
        printf '[backend scalar]\nenv.LD_PRELOAD = %s\nenv.LC_ALL = de_DE.UTF-8\nenv.LOCPATH = %s\n' \
            "$work/comma.so" "$work" | cat run.ini - >comma.ini
        ends 0 "${comma[@]}" "$program" run --config comma.ini --lr 0.25 -o comma.jsonl --export html=comma.html
        whole comma.jsonl
        grep -q '"lr":"0.25"' comma.jsonl || fail 'decimal comma: the rate was not read'
        ! grep -q '[0-9],[0-9]* ms' out || fail 'decimal comma: in the table'
        ends 0 "${comma[@]}" "$program" report comma.jsonl --format csv
        mv out with.csv
        ends 0 "$program" report comma.jsonl --format csv
        diff out with.csv || fail 'decimal comma: another table'
        ends 0 "${comma[@]}" "$program" report comma.jsonl
        mv out with.txt
        ends 0 "$program" report comma.jsonl
        diff out with.txt || fail 'decimal comma: another text'
    fi
else
    echo 'left out: decimal commas (Debian: locales)'
fi
printf 'ok\n'
