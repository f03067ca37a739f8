#!/usr/bin/env bash
# ci/gate on small repositories: which base it takes, what it builds and compares, which exit code it hands on, and that nothing
# stays behind, whatever ends it. The short form leaves out most exit codes and some of what ends without a base.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "it is about scripts, once is enough"
for tool in git cmake cc c++; do
    command -v $tool >/dev/null || skip "no $tool"
done
# shellcheck source=tests/support/small_project/repository.sh
. "$BM_TEST_SOURCE_DIR/tests/support/small_project/repository.sh"
cd "$work"
export SMALL_CALLED=$work/called

# gate REPOSITORY STATUS [ARGUMENTS...]: in any folder, with that exit code, and clean afterwards; writes out and err.
gate() {
    local repository=$1 expected=$2 status=0
    shift 2
    rm -f called
    "$repository/ci/gate" --no-install "$@" >out 2>err || status=$?
    [ $status -eq "$expected" ] ||
        fail "gate $*: expected exit code $expected, found $status: $(cat out err "$repository/build/gate/head.log" 2>&1)"
    is_clean "$repository"
}

is_clean() {
    [ ! -e "$1/.git" ] || [ "$(git -C "$1" worktree list | wc -l)" -eq 1 ] ||
        fail "a work tree is left: $(git -C "$1" worktree list)"
    ! compgen -G "$1/build-gate*" >/dev/null || fail "a folder is left: $(ls "$1")"
}

# says TEXT: the last gate did, on its output or as its error.
says() {
    grep -qF -- "$1" out || grep -qF -- "$1" err || fail "expected \"$1\", found $(cat out err)"
}

# chooses REPOSITORY TEXT [ARGUMENTS...]: the base that it names; nothing is built.
mkdir no_cmake
printf '#!/bin/sh\nexit 1\n' >no_cmake/cmake
chmod +x no_cmake/cmake
chooses() {
    PATH=$work/no_cmake:$PATH gate "$1" 2 "${@:3}"
    says "base $2"
    says "this tree does not build"
}

called_with() {
    grep -qxF -- "$1" called || fail "expected the argument \"$1\", found $(cat called)"
}

no_base() {
    says "NO BASE: "
    says "$1"
    [ ! -e called ] || fail "it compared without a base: $(cat called)"
}

# ---- Which base ----

make_repository one
gate one 0
no_base "HEAD is the first commit"
gate one 4 --strict

# On main the parent; what main got after a branch left it is not the branch's.
backend one fast 9
commit one "faster"
gate one 0
says "base $(git -C one log -1 --format=%h HEAD~1) \"a fast backend\", parent of HEAD"
git -C one checkout --quiet -b slow
backend one fast 20
commit one "slower"
commit one "nothing"
git -C one checkout --quiet main
backend one fast 8
commit one "faster still"
git -C one checkout --quiet slow
gate one 1
says "base $(git -C one log -1 --format=%h main~1) \"faster\", merge base with main"
grep -qxF "bm_fast.so: REGRESSION" out || fail "expected a regression, found $(cat out)"
# The same sources give the same bytes, and the null backend is not built.
grep -qxF "bm_same.so: IDENTICAL" out || fail "expected another to be identical, found $(cat out)"
[ "$(wc -l <out)" -eq 2 ] || fail "expected two backends, found $(cat out)"
for name in compare.jsonl junit.xml summary.md github.txt base.log head.log; do
    [ -s "one/build/gate/$name" ] || fail "expected $name in build/gate"
done
called_with "revision $(revision one)"

# Origin's default branch comes first, and what a job names before all.
git clone --quiet one two
git -C two remote set-head origin main
git -C two branch --quiet --no-track main origin/main~1
faster="$(git -C one log -1 --format=%h main~1) \"faster\""
chooses two "$faster, merge base with origin/main"
git -C two checkout --quiet -b next origin/main
chooses two "$faster, parent of HEAD, which is on origin/main"
GITHUB_BASE_REF=slow chooses two "$faster, merge base with origin/slow"
CI_MERGE_REQUEST_TARGET_BRANCH_NAME=slow chooses two "$faster, merge base with origin/slow"
CI_DEFAULT_BRANCH=slow chooses two "$faster, merge base with origin/slow"
GITHUB_BASE_REF=gone gate two 0
no_base "found no target branch"
# A detached pipeline of a merge request names its base; one of the merged result has the target's tip in it.
CI_MERGE_REQUEST_DIFF_BASE_SHA=$(revision one slow~2)
export CI_MERGE_REQUEST_DIFF_BASE_SHA
CI_MERGE_REQUEST_EVENT_TYPE=detached chooses two "$(git -C one log -1 --format=%h slow~2) \"faster\", base of the merge request"
CI_MERGE_REQUEST_EVENT_TYPE=merged_result chooses two "$faster, parent of HEAD, which is on origin/main"
unset CI_MERGE_REQUEST_DIFF_BASE_SHA
git -C two checkout --quiet --orphan alone
commit two "another history"
gate two 0
no_base "no common ancestor"

# A named one.
chooses one "$faster, slow~2" slow~2
gate one 2 nothing
says 'expected a revision of this repository, found "nothing"'
[ "$(wc -l <err)" -eq 1 ] || fail "expected one line, found $(cat err)"

# Without history.
git clone --quiet --depth 1 "file://$work/one" shallow
gate shallow 0
no_base "this clone is shallow"
gate shallow 4 --strict
gate shallow 0 "$(revision one slow~2)"
no_base "this clone is shallow"
cp -r one unpacked
rm -rf unpacked/.git
gate unpacked 0
no_base "no git repository"

# ---- What is built ----

# The tree as it lies there: changed files and new ones. The index stays as it is.
cp -r one three
backend three fast 30
backend three new 30
git -C three status --porcelain >before
gate three 1 HEAD -- --batch 1,100
[ "$(git -C three status --porcelain)" = "$(cat before)" ] || fail "the status of the repository changed"
called_with "revision $(revision three)-dirty"
called_with 1,100
! grep -q new out || fail "the base has no such backend: $(cat out)"
! grep -q "github of" out || fail "lines for GitHub, where there is none"

# Only what is asked for; the words go on as they are. The measurements get what the builds have left, and a minute at least.
gate three 0 --backend same,null:0 --threshold 3% --time-limit 1s HEAD
says "bm_same.so: IDENTICAL"
says "bm_null.so: IDENTICAL"
[ "$(wc -l <out)" -eq 2 ] || fail "expected two backends, found $(cat out)"
called_with same,null:0
called_with 3%
called_with 60s
gate three 0 --backend new HEAD
no_base "has no backend new"
gate three 2 --backend nonesuch HEAD
says '--backend: expected a backend of this tree, found "nonesuch"'

# A default that the head changes is no setting that the base has made, and a backend that it lacks is not taken from there.
cp -r one four
sed -i 's/"-O2"/"-O0"/' four/CMakeLists.txt
rm four/backends/fast.txt four/backends/null.txt
gate four 5 HEAD
says "bm_same.so: PASS"
says "bm_fast.so: LOST"

# A base that does not build is none (below, with its reports); a tree that does not build is an error, whatever the base does.
backend one fast "does not compile"
commit one "broken"
backend one fast 10
if [ -n "${BM_TEST_WHOLE-}" ]; then
    gate one 4 --strict HEAD
    backend one fast "does not compile"
    gate one 2 HEAD
    says "this tree does not build"
fi
backend one fast "does not compile"
gate one 2 HEAD~1
says "this tree does not build"
says 'error: 90% of "fast.filled" & <more>'
backend one fast 10

# What it builds may be loaded, whatever the caller lets others do. A hook's variables are about another repository. Most of the
# time is left to the measurements.
(umask 0 && GIT_DIR=$work/two/.git GIT_INDEX_FILE=$work/two/.git/index GIT_WORK_TREE=$work/two gate three 1 --time-limit 10m HEAD)
[[ $(grep -xE '[0-9]+s' called) =~ ^(5[0-9][0-9]|600)s$ ]] || fail "expected most of ten minutes, found $(cat called)"

# ---- What comes out ----

statuses=(139)
[ -z "${BM_TEST_WHOLE-}" ] || statuses=(0 1 3 4 5 6 7 8 139)
for status in "${statuses[@]}"; do
    SMALL_STATUS=$status gate three "$status" HEAD
done
printf '#!/bin/sh\necho another program\nexit 6\n' >program
chmod +x program
gate three 6 --program "$work/program" HEAD
says "another program"
! grep -q 'program.filled' three/build/gate/head.log || fail "it built a program that nobody asked for"

# case_says TAG TEXT: the only case of the JUnit file.
case_says() {
    command -v python3 >/dev/null || return 0
    python3 - "$@" <<'PYTHON' || fail "junit.xml: see above"
import sys
import xml.etree.ElementTree as xml
(suite,) = xml.parse("reports/junit.xml").getroot()
((told,),) = suite
assert (told.tag, told.get("message")) == tuple(sys.argv[1:]), (told.tag, told.get("message"))
counts = {"skipped": suite.get("skipped"), "failure": suite.get("failures")}
assert all(count == str(int(tag == told.tag)) for tag, count in counts.items()), suite.attrib
PYTHON
}

# The reports go where the job wants them.
echo "what other steps wrote" >summary.md
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$work/summary.md gate three 1 --output "$work/reports" HEAD
grep -qxF "github of a stand-in" out || fail "expected GitHub's lines, found $(cat out)"
[ "$(cat summary.md)" = $'what other steps wrote\nmarkdown of a stand-in' ] || fail "summary: found $(cat summary.md)"
[ "$(cat reports/junit.xml)" = "junit of a stand-in" ] || fail "--output: found $(ls reports)"
# Without a base too, and nothing of an earlier comparison is left.
: >summary.md
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=$work/summary.md gate one 0 --output "$work/reports" HEAD
text="NO BASE: base $(git -C one log -1 --format=%h) does not build; the last lines of its log:"
no_base "${text#NO BASE: }"
says 'error: 90% of "fast.filled" & <more>'
grep -qxF "::warning title=batchmark gate::$text" out || fail "expected a warning, found $(cat out)"
case_says skipped "$text"
grep -qxF "$text" summary.md || fail "summary: found $(cat summary.md)"
grep -qxF '    error: 90% of "fast.filled" & <more>' summary.md || fail "summary: found $(cat summary.md)"
[ ! -e reports/compare.jsonl ] || fail "the record of an earlier comparison is left"
# What text of others would end an attribute or a line's escape.
GITHUB_ACTIONS=true gate shallow 4 --strict --output "$work/reports" 'R&D <"100%">'
text='NO BASE: R&D <"100%">: this clone is shallow: fetch the whole history'
text+=' (fetch-depth: 0, GIT_DEPTH: "0" or git fetch --unshallow)'
grep -qxF "::error title=batchmark gate::${text/\%/%25}" out || fail "expected an error, found $(cat out)"
case_says failure "$text"

# ---- Mistakes and interrupts ----

for call in "--nothing" "HEAD HEAD" "--backend" "--time-limit soon" "--program nothing" "--output /dev/null/x"; do
    read -r -a words <<<"$call"
    gate three 2 "${words[@]}"
    [ ! -e called ] || fail "gate $call: it compared"
done
CC=nonesuch-cc gate three 2
says "needs nonesuch-cc"
# An error that the script does not expect is no regression.
# shellcheck disable=SC2016 # the script that is written expands them
printf '#!/bin/sh\n[ "$3" != write-tree ] || exit 1\nexec "%s" "$@"\n' "$(command -v git)" >git
chmod +x git
PATH=$work:$PATH gate three 2
rm git

# interrupt VARIABLE SIGNAL STATUS: while what $VARIABLE makes wait does so. Only a job of its own takes INT.
interrupt() {
    local status=0 pid
    rm -f waits
    set -m
    env "$1=$work/waits" three/ci/gate --no-install HEAD >out 2>err &
    pid=$!
    set +m
    until [ -e waits ]; do
        kill -0 $pid || fail "it ended before: $(cat out err)"
        sleep 0.1
    done
    kill -s "$2" $pid
    wait $pid 2>/dev/null || status=$?
    [ $status -eq "$3" ] || fail "$2: expected exit code $3, found $status: $(cat out err)"
    is_clean three
}

interrupt SMALL_WAITS INT 130
[ "$(cat waits)" = interrupted ] || fail "the program was not interrupted as by Ctrl-C"
interrupt SMALL_COMPILE_WAITS TERM 143
