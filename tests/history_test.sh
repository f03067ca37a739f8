#!/usr/bin/env bash
# `batchmark history` on made-up records: known steps are found with their commits, noise, spikes and lost cells are no steps,
# machines and settings are never mixed, damage is told with file and line and does not stop the rest.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

fail() {
    printf 'failed: %s\n' "$1" >&2
    head -n 40 "$work/out" "$work/err" >&2
    exit 1
}
# expect CODE ARGUMENTS...: runs the command, output in $work/out and $work/err
expect() {
    local expected=$1 code=0
    shift
    "$BM_TEST_PROGRAM" history "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$expected" ] || fail "history $*: exit code $code, expected $expected"
}
has() { grep -qF -- "$2" "$work/$1" || fail "$1 lacks: $2"; }
matches() { grep -qE -- "$2" "$work/$1" || fail "$1 has no line like: $2"; }
lacks() { ! grep -qF -- "$2" "$work/$1" || fail "$1 has: $2"; }
error_lines() { [ "$(wc -l <"$work/err")" = "$1" ] || fail "expected $1 lines of error"; }
rows() { [ "$(grep -cE ', batch [0-9]+ +[0-9]' "$work/out")" = "$1" ] || fail "expected $1 rows"; }

# records FOLDER FIRST LAST CELLS [NAME=VALUE...]: a record for each of the runs FIRST .. LAST, a run a day from 2026-01-01 on
# at the revisions rev0, rev1, ... The cells are words BACKEND:BATCH:NS[:AT*FACTOR...], whose time is multiplied by FACTOR from
# run AT on, with noise of one percent at most. Names: cpu, flags, machine, threads, settings, run (more fields of the run),
# cell (more fields of every cell), end (nothing: the files are partial).
records() {
    local folder=$1 first=$2 last=$3 cells=$4
    local cpu='Test CPU' flags=-O2 machine=box threads=2 settings='' run='' cell='' end=.partial
    shift 4
    [ $# = 0 ] || local "$@"
    mkdir -p "$folder"
    awk -v folder="$folder" -v first="$first" -v last="$last" -v cells="$cells" -v cpu="$cpu" -v flags="$flags" \
        -v machine="$machine" -v threads="$threads" -v settings="$settings" -v more_run="$run" -v more_cell="$cell" \
        -v end="$end" '
        # Park and Miller: the same numbers everywhere.
        function draw() { state = (state * 16807) % 2147483647; return state / 2147483647 }
        function day(run) {
            return sprintf("20%02d-%02d-%02dT03:00:00Z", 26 + int(run / 336), 1 + int(run / 28) % 12, 1 + run % 28)
        }
        BEGIN {
            state = 4715
            count = split(cells, words, " ")
            for (run = first; run <= last; run++) {
                # The order of names is not that of time.
                file = sprintf("%s/%04d.jsonl%s", folder, 9999 - run, end)
                printf "{\"kind\":\"run\",\"schema\":1,\"id\":\"%s-%d\",\"started\":\"%s\",\"revision\":\"rev%d\"," \
                       "\"machine\":\"%s\",\"host\":{\"cpu\":\"%s\",\"cores\":2},\"build\":{\"flags\":\"%s\"}," \
                       "\"options\":{\"settings\":[%s]}%s}\n", folder, run, day(run), run, machine,
                       cpu, flags, settings, more_run > file
                for (i = 1; i <= count; i++) {
                    parts = split(words[i], part, ":")
                    ns = part[3] * (0.99 + 0.02 * draw())
                    for (k = 4; k <= parts; k++) {
                        split(part[k], step, "*")
                        ns *= run >= step[1] ? step[2] : 1
                    }
                    printf "{\"kind\":\"cell\",\"schema\":1,\"backend\":\"%s\",\"label\":\"%s\",\"device\":0," \
                           "\"device_name\":\"%s\",\"model\":\"mlp\",\"layers\":\"dense 10\",\"dataset\":\"mnist\"," \
                           "\"optimizer\":\"momentum\",\"batch\":%d,\"threads\":%d,\"precision\":\"float32\",\"seed\":1," \
                           "\"micro_batch\":0,\"status\":\"ok\",\"reason\":\"\",\"gradient\":{\"median_ns\":%.6f}," \
                           "\"update\":{\"median_ns\":%.6f,\"samples_ns\":[%.6f,%.6f]},\"computes_nothing\":%s%s}\n",
                           part[1], part[1], cpu, part[2], threads, ns / 2, ns, ns * 0.9, ns * 1.1,
                           part[1] == "null" ? "true" : "false", more_cell > file
                }
                close(file)
            }
        }'
}

# ---- Usage ----

expect 0 --help
has out 'usage: batchmark history DIR'
has out '--threshold PERCENT'
has out '1 with --strict'
for words in '' '--thresold 2% x' '--threshold 2 x' '--threshold 100% x' '--series all x' '--since 0 x' '--backend A x'; do
    # shellcheck disable=SC2086  # the words are the arguments
    expect 2 $words
    error_lines 1
done
expect 2 "$work/absent"
has err "batchmark history: $work/absent: expected a folder"
error_lines 1
touch "$work/file"
expect 2 "$work/file"
has err 'expected a folder, found a file'
mkdir "$work/empty"
echo '{"kind":"run"' >"$work/empty/notes.json"
expect 5 "$work/empty"
has err "$work/empty: expected records (*.jsonl) of \`batchmark run\` with a time of update, found none that fits"
error_lines 1

# ---- Steps, noise, a spike, lost cells ----

cells='avx2:1:100000:12*3:13*0.333333 avx2:7:500 avx2:100:3000000:20*1.1 scalar:100:20000000:10*0.8 null:1:10'
records "$work/runs/two-threads" 0 29 "$cells"
records "$work/runs/one-thread" 0 24 'scalar:1:700000 avx2:1:100000' threads=1
records "$work/runs/one-thread" 25 29 'avx2:1:100000' threads=1
expect 0 "$work/runs"
error_lines 0
has out 'box: Test CPU, 2 cores, -O2'
matches out '^avx2, batch 1 +30 .* -$'
matches out '^avx2, batch 100 +30 .* ms +1\.[01][0-9]+ {3}2026-01-21 \+(9|10)\.[0-9] % \(\+9.*\) rev19\.\.rev20$'
matches out '^scalar, batch 100 +30 .* 2026-01-11 -(19|20)\.[0-9] % .* rev9\.\.rev10$'
lacks out null
has out 'lost: scalar, batch 1 of mlp, mnist, momentum, 1 thread, float32: not measured since 2026-01-25, rev24'
has out '6 cells, 2 changes'
[ "$(grep -c '^update: ' "$work/out")" = 2 ] || fail 'expected two tables'
lacks out 'too few'
expect 0 "$work/runs" --backend null
rows 1

# ---- What is asked for ----

expect 1 "$work/runs" --strict
expect 0 "$work/runs" --strict --backend scalar
expect 0 "$work/runs" --strict --threshold 15%
expect 0 "$work/runs" --strict --since 10
expect 0 "$work/runs" --since 7 --batch 100
matches out '^avx2, batch 100 +7 .* too few runs$'
expect 0 "$work/runs" --batch 1,7 --backend 'avx2:test cpu' --model mlp
rows 3
expect 0 "$work/runs" --backend avx2:0,scalar
rows 6
expect 5 "$work/runs" --backend avx2:1
expect 5 "$work/runs" --model f1
expect 5 "$work/runs" --series epoch
expect 0 "$work/runs" --series gradient --backend scalar --batch 100
has out 'gradient: mlp, mnist'
matches out '^scalar, batch 100 +30 +(9\.[0-9]+|10\.[0-9]) ms .* rev9\.\.rev10$'

# An epoch that was not run is no time of one.
records "$work/epochs" 0 9 'avx2:100:3000000' cell=',"epoch":{"seconds":0.5,"measured":true}'
sed -i 's/"measured":true/"measured":false/' "$work/epochs/9995.jsonl.partial"
expect 0 "$work/epochs" --series epoch
matches out '^avx2, batch 100 +9 +500 ms +500 ms '

# ---- Formats ----

expect 0 "$work/runs" --batch 100 --format csv --export jsonl="$work/lines" --export markdown="$work/page" \
    --export table="$work/table"
matches out '^machine,backend,label,.*,ratio,change,after,upto,change_ratio,low,high,p,lost$'
matches out '^"box","avx2","avx2","Test CPU","mlp","mnist","momentum","float32","update",100,2,1,0,1,30,"2026-01-01T03:00:00Z",'
matches out ',"2026-01-21T03:00:00Z","rev19","rev20",1\.[01][0-9]*,1\.[01][0-9]*,1\.1[0-9]*,[0-9.e-]+,""$'
[ "$(wc -l <"$work/out")" = 3 ] || fail 'expected a heading and two lines'
awk -F, 'NR > 1 && NF != 30 { exit 1 }' "$work/out" || fail 'expected 30 fields'
grep -qF '"kind":"history","schema":1,"series":"update","host":{"machine":"box"' "$work/lines" || fail 'no object'
grep -qF '"after":"rev19","upto":"rev20"' "$work/lines" || fail 'no commits'
points='"points":\[\["2026-01-01T03:00:00Z","rev0",[0-9.]+\],.*,\["2026-02-02T03:00:00Z","rev29",[0-9.]+\]\]'
[ "$(grep -cE "$points" "$work/lines")" = 2 ] || fail 'no points'
grep -qF '| update: mlp, mnist, momentum, 2 threads, float32 | runs | first | last | last / first | changes |' "$work/page" ||
    fail 'no heading of the page'
grep -qxF '|---|--:|--:|--:|--:|---|' "$work/page" || fail 'no columns of the page'
expect 0 "$work/runs" --batch 100
cmp -s "$work/out" "$work/table" || fail 'the table in the file is another'
expect 8 "$work/runs" --export csv="$work/absent/file"
error_lines 1
if [ -e /dev/full ]; then
    code=0
    "$BM_TEST_PROGRAM" history "$work/runs" >/dev/full 2>"$work/err" || code=$?
    [ "$code" = 8 ] || fail "a full disk: exit code $code, expected 8"
fi

# ---- Machines and settings are never mixed ----

step='avx2:100:3000000'
records "$work/mixed/a" 0 9 "$step"
records "$work/mixed/b" 10 19 "$step:0*2" cpu='Other CPU'
records "$work/mixed/c" 20 29 "$step:0*3" flags=-O0
records "$work/mixed/d" 30 39 "$step:0*4" threads=1
records "$work/mixed/e" 40 49 "$step:0*5" settings='{"backend":"avx2","key":"tile","value":"8"}'
records "$work/mixed/f" 50 59 "$step:0*6" machine=other
records "$work/mixed/g" 60 69 "$step:0*7" cell=',"data_parallel":2'
records "$work/mixed/h" 70 79 "$step" settings='{"backend":"scalar","key":"tile","value":"8"}'
expect 0 "$work/mixed" --strict
rows 7
has out 'avx2 tile=8, batch 100'
has out '7 cells, 0 changes'
matches out '^avx2, batch 100 +20 '
has out 'Other CPU'

# Records that do not name their machine are those of their folder.
records "$work/unnamed/one" 0 9 "$step" machine=''
records "$work/unnamed/two" 10 19 "$step:0*2" machine=''
expect 0 "$work/unnamed"
rows 2
has out 'one: Test CPU'
has out 'two: Test CPU'

# ---- Not counted, or once ----

mkdir "$work/mixed/copy"
cp "$work"/mixed/a/* "$work/mixed/copy"
records "$work/mixed/debugger" 80 89 "$step:0*9" run=',"in_process":true'
records "$work/mixed/trained" 90 99 "$step:0*9" run=',"command_name":"train"'
expect 0 "$work/mixed"
has err 'left out: 10 runs in process, 10 read before'
error_lines 1
rows 7
matches out '^avx2, batch 100 +20 '

# A run that went on holds the cells of the one before it once more.
records "$work/resumed" 0 9 "$step"
sed 's/"id":"[^"]*"/"id":"again"/; s/"started":"[^"]*"/"started":"2026-02-01T00:00:00Z","resumed":true/' \
    "$work/resumed/9990.jsonl.partial" >"$work/resumed/again.jsonl"
expect 0 "$work/resumed"
matches out '^avx2, batch 100 +10 '

# ---- A cell that fails in the newest run ----

records "$work/crashed" 0 9 "$step scalar:100:20000000"
sed -i '/"backend":"avx2"/s/"status":"ok"/"status":"crashed"/; /"backend":"avx2"/s/"update":{[^}]*}/"update":null/' \
    "$work/crashed/9990.jsonl.partial"
expect 0 "$work/crashed"
has out 'lost: avx2, batch 100 of mlp, mnist, momentum, 2 threads, float32: crashed 2026-01-10, rev9'
matches out '^avx2, batch 100 +9 '

# A newer run that was not asked for a backend does not miss it.
records "$work/asked" 0 9 "$step scalar:100:20000000" settings='],"backend":"avx2,scalar","more":['
records "$work/asked" 10 11 'scalar:100:20000000' settings='],"backend":"scalar","more":['
expect 0 "$work/asked"
matches out '^avx2, batch 100 +10 '
matches out '^scalar, batch 100 +12 '
lacks out lost
records "$work/asked" 12 12 'scalar:100:20000000' settings='],"backend":"avx2,scalar","more":['
expect 0 "$work/asked"
has out 'lost: avx2, batch 100 of mlp, mnist, momentum, 2 threads, float32: not measured since 2026-01-10, rev9'

# ---- Same revision on both sides; several changes ----

records "$work/many" 0 79 "$step:10*1.1:20*1.1:30*1.1:40*1.1:50*0.5"
sed -i 's/"revision":"rev50"/"revision":"rev49"/' "$work"/many/*
expect 0 "$work/many" --strict
matches out '   2026-02-03 .* rev29\.\.rev30; 2026-02-13 .* rev39\.\.rev40; 2026-02-23 -(49|50)\.[0-9] % .*; 2 before$'
has out ' rev49, no commit between;'

# ---- Damage ----

# damage NAME TEXT...: a folder of ten good runs and one file with these lines
damage() {
    rm -rf "$work/damage"
    records "$work/damage" 0 9 "$step"
    printf '%s\n' "${@:2}" >"$work/damage/$1"
}
good_run='{"kind":"run","schema":1,"id":"x","started":"2026-03-01T00:00:00Z","revision":"r","machine":"box",'
good_run+='"host":{"cpu":"Test CPU","cores":2},"build":{"flags":"-O2"}}'
cell='{"kind":"cell","backend":"avx2","model":"mlp","dataset":"mnist","optimizer":"sgd","precision":"float32",'
cell+='"threads":2,"batch":5,"status":"ok"'
# refused LINE EXPECTED: the damaged file is told, the others are read
refused() {
    expect 2 "$work/damage"
    error_lines 1
    has err "batchmark history: $work/damage/bad.jsonl:$1: $2"
    matches out '^avx2, batch 100 +10 '
}
damage bad.jsonl "$good_run" "$cell,\"update\":{\"median_ns\":12}}" 'garbage' "$cell,\"update\":{\"median_ns\":12}}"
refused 3 'expected a JSON object with a kind, found'
matches out '^avx2, batch 5 +1 ' # what stands before the damage counts
damage bad.jsonl '{"started":"2026-03-01T00:00:00Z"}'
refused 1 'expected a JSON object with a kind, found something else'
damage bad.jsonl "$good_run" "$cell,\"update\":{\"median_ns\":\"12\"}}"
refused 2 'update: expected a time above 0, found "12"'
damage bad.jsonl "$good_run" "$cell,\"update\":{\"median_ns\":-12}}"
refused 2 'update: expected a time above 0, found -12'
damage bad.jsonl "$good_run" "$cell,\"update\":{\"median_ns\":1e300}}"
refused 2 'update: expected a time above 0, found'
damage bad.jsonl "$good_run" "$cell,\"update\":7}"
refused 2 'update: expected a time above 0, found 7'
damage bad.jsonl "$good_run" "${cell/\"batch\":5/\"batch\":\"5\"},\"update\":{\"median_ns\":12}}"
refused 2 'batch: expected a whole number, found "5"'
damage bad.jsonl "$good_run" "${cell/\"mlp\"/[]},\"update\":{\"median_ns\":12}}"
refused 2 'model: expected a text, found []'
damage bad.jsonl "$good_run" "${cell/\"ok\"/\"fine\"},\"update\":{\"median_ns\":12}}"
refused 2 'status: expected ok, skipped, wrong, ..., found "fine"'
damage bad.jsonl "$good_run" "$cell,\"update\":{\"median_ns\":12}"
refused 2 'expected a JSON object with a kind, found'
damage bad.jsonl "${good_run/\"schema\":1/\"schema\":2}"
refused 1 'schema: expected 1, found 2'
damage bad.jsonl "${good_run/2026-03/yesterday}"
refused 1 'started: expected a time like 2026-11-25T04:44:53Z, found'
damage bad.jsonl "$good_run" "$cell,\"update\":$(printf '%5000s' '' | tr ' ' '[')"
refused 2 'expected a JSON object with a kind, found'
damage bad.jsonl "$good_run" "$cell,\"update\":$(printf '%5000s' '' | tr ' ' '[')$(printf '%5000s' '' | tr ' ' ']')}"
refused 2 'expected a JSON object with a kind, found'
damage bad.jsonl "$good_run"
head -c 17000000 /dev/zero | tr '\0' x >>"$work/damage/bad.jsonl"
refused 2 'expected at most 16777216 bytes in a line'
damage bad.jsonl "$good_run"
printf '{"kind":"cell"\0}\n' >>"$work/damage/bad.jsonl"
refused 2 'expected a JSON object with a kind, found'

# What a record holds does not reach the terminal as it is.
damage bad.jsonl "$good_run" "$cell,\"label\":\"\\u001b[31m\",\"update\":{\"median_ns\":12}}" $'\033[31m'
sed -i 's/"machine":"box"/"machine":"\\u001bbox"/' "$work/damage/bad.jsonl"
expect 2 "$work/damage"
error_lines 1
! grep -q $'\033' "$work/out" "$work/err" || fail 'a control character'
has out ' box: Test CPU'

# No plain file: a pipe without a writer must not wait.
damage other.jsonl "$good_run"
mkfifo "$work/damage/pipe.jsonl"
ln -s nowhere "$work/damage/link.jsonl"
expect 2 "$work/damage"
has err 'pipe.jsonl: expected a plain file'
has err 'link.jsonl: cannot read it'
error_lines 2
rows 1

# Only damage: nothing to show, and that is what is told.
rm -rf "$work/damage"
mkdir "$work/damage"
echo nonsense >"$work/damage/bad.jsonl"
expect 2 "$work/damage"
error_lines 2

# A torn last line is dropped, whatever it holds; a folder that is hidden or links back is passed over.
damage torn.jsonl.partial "$good_run" "$cell,\"update\":{\"median_ns\":12}}"
printf '%s' "$cell,\"update\":{\"median_" >>"$work/damage/torn.jsonl.partial"
mkdir "$work/damage/.hidden"
echo nonsense >"$work/damage/.hidden/bad.jsonl"
ln -s . "$work/damage/again"
expect 0 "$work/damage/."
error_lines 0
matches out '^avx2, batch 5 +1 '

# ---- Many ----

cells='avx2:1:1000:1500*1.05'
for batch in $(seq 2 20); do
    cells+=" avx2:$batch:${batch}000"
done
records "$work/large" 0 1999 "$cells"
expect 1 "$work/large" --strict
rows 20
matches out '^avx2, batch 1 +2000 .* \+[45]\.[0-9] % .* rev1[45][0-9]+\.\.rev1[45][0-9]+$'
has out '20 cells, 1 change'
