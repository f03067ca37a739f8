#!/usr/bin/env bash
# What `batchmark run` promises its users: a record whose figures can be computed again, tables, exit codes, clear refusals. The
# short form does not go on with the run that was interrupted (kill_test does).
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
support=$BM_TEST_SOURCE_DIR/tests/support
cd "$work"

# expect CODE TEXT COMMAND...: the exit code, and a text on standard error in one line.
expect() {
    local code=$1 text=$2 found=0
    shift 2
    "$@" >out 2>err || found=$?
    [ "$found" = "$code" ] || { cat out err >&2; fail "expected exit code $code, found $found: $*"; }
    grep -qF -- "$text" err || { cat err >&2; fail "expected \"$text\" on standard error: $*"; }
}

sed 's/^batch = .*/batch = 1,7,5000/; s/^threads = .*/threads = 1/' "$support/small.ini" >small.ini
small=(run --config small.ini --backend "null,scalar")

# The record, and every figure of the table from its samples.
"$program" "${small[@]}" --verbose -o a.jsonl --export csv=a.csv --export markdown=a.md >a.txt 2>a.err
python3 "$support/check_record.py" a.jsonl a.csv
[ ! -e a.jsonl.partial ] || fail "the partial file is still there"
grep -q 'one update, batch' a.txt || fail "no table of updates"
grep -q 'one epoch, batch' a.txt || fail "no table of epochs"
grep -q 'full (1500)' a.txt || fail "a batch above the number of images is not printed as full"
grep -q 'share of the bound, batch' a.txt || fail "no shares of the bound"
grep -q 'images/s at its best batch' a.txt || fail "no images/s"
grep -q 'one gradient' a.txt || fail "--verbose shows no gradients"
grep -q '^roofline, 1 thread: ' a.txt || fail "--verbose shows no roofline"
grep -q '% of the bound (' a.txt || fail "--verbose does not say what bounds a cell"
[ "$(tail -n 1 a.txt)" = "record: a.jsonl; for a page: batchmark report a.jsonl -o report.html" ] ||
    fail "the last line does not name the record"
grep -q '^plan: 6 cells' a.err || { cat a.err >&2; fail "no plan"; }
grep -q '^| scalar |' a.md || fail "no markdown row"
python3 - a.jsonl <<'PYTHON'
import json, sys
cells = [o for o in map(json.loads, open(sys.argv[1])) if o["kind"] == "cell"]
assert len(cells) == 6 and all(c["status"] == "ok" for c in cells), [(c["backend"], c["status"], c["reason"]) for c in cells]
assert sorted({c["batch"] for c in cells}) == [1, 7, 1500]
for c in cells:
    assert c["update"]["rounds"] >= 5, c
    assert (c["check"]["status"] == "none") == (c["backend"] == "null")
    assert c["full"] == (c["batch"] == 1500)
    assert c["update"]["repeatable"], "parameters differ between rounds"
PYTHON

# The same cells by other ways in, none of them measured as text.
"$program" "${small[@]}" --backend scalar --batch 7 --in-process -o b.jsonl --format jsonl >b.txt 2>/dev/null
cmp -s <(grep -v '"kind":"end"' b.jsonl) <(grep -v '"kind":"end"' b.txt) || fail "--format jsonl is not the record"
grep -q '"in_process":true' b.jsonl || fail "--in-process is not marked"
mkdir template
printf '@STYLE@\n@CHART@\n@SCRIPT@\n@DATA@\n' >template/page.html
touch template/page.css template/order.txt template/chart.min.js
BATCHMARK_REPORT=template "$program" "${small[@]}" --backend scalar --batch 7 --optimizer adam --threads 1,2 --micro-batch 3 \
    -o c.jsonl --export html=c.html >c.txt 2>/dev/null
python3 "$support/check_record.py" c.jsonl
grep -q 'ghost-3' c.jsonl || fail "batch norm over slices is not labelled"
grep -q '^{"schema":1,.*"file":"c.jsonl","finished":true,.*"row":"scalar, 2 threads"' c.html || fail "--export html is no page"
# A batch norm of two images is a sign, and behind seven of them float32 determines little: the record says so.
norms=$(printf 'dense 48, batchnorm, %.0s' 1 2 3 4 5 6 7)
sed "s/^layers = .*/layers = ${norms}dense 10/" small.ini >deep.ini
"$program" run --config deep.ini --backend scalar --batch 2,16 --verbose --roofline none -o u.jsonl >u.txt 2>/dev/null
python3 - u.jsonl <<'PYTHON'
import json, sys
cells = [o for o in map(json.loads, open(sys.argv[1])) if o["kind"] == "cell"]
found = {c["batch"]: (c["check"]["status"], c["check"]["determined"]) for c in cells}
assert found == {2: ("ok", False), 16: ("ok", True)}, found
PYTHON
grep -q 'batch 2: check ok.*no more than its order of magnitude' u.txt || fail "--verbose does not say what float32 leaves open"
python3 "$support/check_record.py" u.jsonl
grep -q '"roofline_reason":"--roofline none"' u.jsonl || fail "no reason for the missing roofline"
grep -q 'share of the bound' u.txt && fail "shares of a bound that is not known"

# Two backends that are the same code, the first named by a part of its device's name, in any case: their ratio is that of the
# rounds, paired, with its interval.
part=$(python3 - a.jsonl <<'PYTHON'
import json, sys
cells = [o for o in map(json.loads, open(sys.argv[1])) if o.get("backend") == "scalar"]
print(cells[0]["device_name"].split()[0].lower())
PYTHON
)
"$program" run --config small.ini --plugin "$BM_TEST_BINARY_DIR/tests/plugins/twin/bm_twin.so" \
    --backend "scalar:$part,twin" --batch 7 -o two.jsonl >two.txt 2>/dev/null
grep -q '^scalar ' two.txt || fail "no row for a device that was named \"$part\""
python3 - two.jsonl two.txt <<'PYTHON'
import json, re, statistics, sys
cells = {c["backend"]: c["update"] for c in map(json.loads, open(sys.argv[1])) if c["kind"] == "cell"}
def medians(series):
    at, found = 0, []
    for count in series["round_counts"]:
        found.append(statistics.median(series["samples_ns"][at:at + count]))
        at += count
    return found
expected = statistics.median(a / b for a, b in zip(medians(cells["scalar"]), medians(cells["twin"])))
text = open(sys.argv[2]).read()
assert "speed against scalar, batch" in text, text
rounds = min(len(series["round_counts"]) for series in cells.values())
found = re.search(r"^twin +([0-9.]+)x \((.*)\)( tie)?$", text, re.M)
assert found and abs(float(found.group(1)) - expected) <= 0.005001, (text, expected)
if rounds < 5:
    assert re.fullmatch(f"{rounds} rounds?", found.group(2)) and not found.group(3), text
else:
    low, high = map(float, re.fullmatch(r"([0-9.]+) to ([0-9.]+)", found.group(2)).groups())
    assert low <= float(found.group(1)) <= high, text
PYTHON

# Refusals: one line, exit code 2, and nothing is written.
expect 2 'expected a number' "$program" run --batch x
expect 2 'did you mean --batch' "$program" run --bacth 1
expect 2 '--roofline: expected one of auto, measure, none' "$program" "${small[@]}" --roofline maybe
expect 2 '--backend: expected one of' "$program" "${small[@]}" --backend nosuch
expect 2 'of a device of scalar' "$program" "${small[@]}" --backend scalar:7
expect 2 'found "no such name"' "$program" "${small[@]}" --backend "scalar:no such name"
expect 2 'no such plugin' "$program" "${small[@]}" --plugin "$work/bm_none.so"
expect 2 'expected a file bm_NAME.so' "$program" "${small[@]}" --plugin "$support/small.ini"
expect 2 'nosuch.jsonl' "$program" run --resume nosuch.jsonl
expect 2 'expected a command' "$program" nosuch
expect 2 'layers' "$program" run --model custom --dataset synthetic --backend null
expect 2 'cifar100' env BATCHMARK_DATA="$work" "$program" "${small[@]}" --dataset cifar100
expect 2 'nodir/x.jsonl.partial: cannot write it' "$program" "${small[@]}" -o "$work/nodir/x.jsonl"
[ -z "$(find . -name '*.partial')" ] || fail "a refusal left a partial file"

# What lies in a searched folder and is no plugin is a line of the list and a refused row, and the others go on.
mkdir folder
ln -s nowhere folder/bm_gone.so
: >folder/bm_empty.so
: >folder/bm_Upper.so
BATCHMARK_PLUGINS=$work/folder "$program" list >list.txt
for name in gone empty Upper; do
    grep -q "bm_$name.so\|$name  not available" list.txt || { cat list.txt >&2; fail "list does not show $name"; }
done
grep -q 'scalar:0' list.txt || fail "list lost scalar"
code=0
BATCHMARK_PLUGINS=$work/folder "$program" "${small[@]}" --backend scalar,empty --batch 7 -o k.jsonl >k.txt 2>/dev/null || code=$?
[ "$code" = 6 ] || fail "an empty plugin: expected exit code 6, found $code"
grep -q '"backend":"scalar".*"status":"ok"' k.jsonl || fail "scalar was not measured beside an empty plugin"

# An unknown option of a backend is that backend's error, not the run's end.
code=0
"$program" "${small[@]}" --batch 7 --option scalar.nosuch=1 -o e.jsonl >e.txt 2>/dev/null || code=$?
[ "$code" = 5 ] || fail "an unknown backend option: expected exit code 5, found $code"
grep -q 'nosuch' e.txt || fail "the unknown backend option is not named"
grep -q '"backend":"null".*"status":"ok"' e.jsonl || fail "null was not measured beside it"

# --resume goes on with the options of backends that the record was measured with, and leaves it to the user to give them.
cp e.jsonl e.before
differ='--resume: expected the record'\''s settings of backends,'
expect 2 "$differ --option scalar.nosuch=1, found none" "$program" "${small[@]}" --resume e.jsonl
expect 2 "$differ --option scalar.nosuch=1, found --option scalar.nosuch=2" \
    "$program" "${small[@]}" --option scalar.nosuch=2 --resume e.jsonl
expect 2 "$differ none, found --option scalar.nosuch=1" "$program" "${small[@]}" --option scalar.nosuch=1 --resume a.jsonl
cmp -s e.before e.jsonl || fail "a refusal to go on changed the record"
code=0
"$program" "${small[@]}" --option scalar.nosuch=1 --resume e.jsonl >e.txt 2>err || code=$?
[ "$code" = 5 ] || { cat err >&2; fail "--resume with the record's option of a backend: expected exit code 5, found $code"; }

# A write that fails: exit code 8. Here nothing is left to measure.
expect 8 'cannot write' "$program" "${small[@]}" --resume a.jsonl --export csv=/dev/full -o f.jsonl
code=0
"$program" "${small[@]}" --resume a.jsonl -o g.jsonl >/dev/full 2>err || code=$?
[ "$code" = 8 ] || { cat err >&2; fail "a full disk under the table: expected exit code 8, found $code"; }
python3 "$support/check_record.py" g.jsonl

# A time limit too short for anything: all is skipped, with its estimate and what is left, and nothing measured is exit code 5.
code=0
"$program" "${small[@]}" --time-limit 200ms --batch 7 -o h.jsonl >h.txt 2>/dev/null || code=$?
[ "$code" = 5 ] || fail "nothing measured: expected exit code 5, found $code"
python3 "$support/check_record.py" h.jsonl
grep -q 'skipped: .*of the time limit' h.txt || { cat h.txt >&2; fail "no reason for a skipped cell"; }

# An interrupt prints what is there, keeps the partial file, and ends with 130.
code=0
"$program" "${small[@]}" -o i.jsonl >i.txt 2>/dev/null &
pid=$!
for _ in $(seq 1200); do
    [ "$(grep -c '"kind":"cell"' i.jsonl.partial 2>/dev/null || true)" -ge 2 ] 2>/dev/null && break
    sleep 0.05
done
kill -INT $pid
wait $pid || code=$?
[ "$code" = 130 ] || fail "SIGINT: expected exit code 130, found $code"
grep -q 'one update, batch' i.txt || fail "SIGINT: no table of what was done"
grep -q -- '--resume i.jsonl goes on' i.txt || fail "SIGINT: no word on how to go on"
[ -e i.jsonl.partial ] || fail "SIGINT: the partial file is not there"
[ ! -e i.jsonl ] || fail "SIGINT: an unfinished record has the name of a finished one"
expect 2 '--resume i.jsonl' "$program" "${small[@]}" -o i.jsonl
sed 's/^seed = 3$/seed = 4/' small.ini >other.ini
expect 2 'data, seed 3, found 4' "$program" run --config other.ini --backend "null,scalar" --resume i.jsonl
if [ -n "${BM_TEST_WHOLE-}" ]; then
    "$program" "${small[@]}" --resume i.jsonl >j.txt 2>/dev/null
    python3 "$support/check_record.py" i.jsonl
    [ ! -e i.jsonl.partial ] || fail "the resumed run left a partial file"
    [ "$(grep -c '"kind":"cell"' i.jsonl)" = 6 ] || fail "the resumed table has not 6 cells"
fi

# A finished record that was measured once more and interrupted: the partial file is what goes on. Each has all cells, marked.
mark() { sed "s/\"device_name\":\"/&$1 /" a.jsonl; }
marked() { grep '"kind":"cell"' "$1" | grep -c "\"device_name\":\"$2 " || true; } # none is an answer
mark old >l.jsonl
mark new | grep -v '"kind":"end"' >l.jsonl.partial
"$program" "${small[@]}" --resume l.jsonl >l.txt 2>err || { cat err >&2; fail "--resume beside a finished record"; }
[ "$(marked l.jsonl old) $(marked l.jsonl new)" = '0 6' ] || fail "--resume went on with the finished record, not the partial one"
[ ! -e l.jsonl.partial ] || fail "--resume beside a finished record left the partial file"
# Nothing is lost where it then stops.
mark old >l.jsonl
mark new | grep -v '"kind":"end"' | sed 's/"sha256":"./"sha256":"?/' >l.jsonl.partial
expect 2 'is not the plugin' "$program" "${small[@]}" --resume l.jsonl
[ "$(marked l.jsonl old) $(marked l.jsonl.partial new)" = '6 6' ] || fail "cells of an interrupted run were lost"
# The partial file of another record is not replaced, and elsewhere there is place.
cp l.jsonl.partial m.jsonl.partial
expect 2 'm.jsonl.partial: an interrupted run left it; --resume m.jsonl' "$program" "${small[@]}" --resume a.jsonl -o m.jsonl
cmp -s l.jsonl.partial m.jsonl.partial || fail "--resume into another record replaced what was interrupted there"
"$program" "${small[@]}" --resume a.jsonl -o p.jsonl >p.txt 2>err || { cat err >&2; fail "--resume into another record"; }
[ "$(grep -c '"kind":"cell"' p.jsonl)" = 6 ] || fail "--resume into another record lost cells"

# A data set that is not there after one that was measured: that one is shown, exported and kept, and goes on.
expect 2 'cifar100' env BATCHMARK_DATA="$work" "$program" "${small[@]}" --batch 7 --dataset synthetic,cifar100 -o later.jsonl \
    --export csv=later.csv
grep -q 'one update, batch' out || fail "a data set that is not there: no table of the one before"
[ "$(tail -n 1 out)" = 'not finished; what is done is in later.jsonl.partial, and --resume later.jsonl goes on' ] ||
    { cat out >&2; fail "a data set that is not there: no word on how to go on"; }
[ "$(grep -c '"kind":"cell"' later.jsonl.partial)" = 2 ] || fail "a data set that is not there: cells are lost"
[ "$(wc -l <later.csv)" = 3 ] || fail "a data set that is not there: no export of the one before"
"$program" "${small[@]}" --dataset synthetic --resume later.jsonl >later.txt 2>err || { cat err >&2; fail "--resume without it"; }
[ "$(grep -c '"kind":"cell"' later.jsonl)" = 2 ] || fail "--resume without it: not the cells of the one before"
printf 'ok\n'
