#!/usr/bin/env bash
# ci/bisect-run under git bisect, over commits that lack it, do not build or cannot be judged; what it says of each kind of
# commit; and that nothing which goes wrong blames a commit. The short form leaves out most exit codes of the program.
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
export SMALL_CALLED=$work/called XDG_CACHE_HOME=$work/cache

# A history without the scripts: they are copied before, as the help says.
make_repository one
mv one/ci .
commit one "no scripts"
git -C one tag good
for text in "two" "three: does not compile" "four: unknown" "five: 9" "six: 20" "seven: unknown" "eight: 20" "nine"; do
    [ "$text" = "${text#*: }" ] || backend one fast "${text#*: }"
    printf '%s\n' "$text" >one/README
    commit one "$text"
    git -C one tag "${text%%:*}"
done

# at COMMIT STATUS [ARGUMENTS...]: what it says of the commit that is checked out, by $program; writes out and err.
at() {
    local commit=$1 expected=$2 status=0
    shift 2
    rm -f called
    git -C one checkout --quiet "$commit"
    (cd one && ../ci/bisect-run --program "$program" "$@") >out 2>err || status=$?
    [ $status -eq "$expected" ] || fail "bisect-run $* at $commit: expected exit code $expected, found $status: $(cat out err)"
}

says() {
    grep -qF -- "$1" out || grep -qF -- "$1" err || fail "expected \"$1\", found $(cat out err)"
}

is_untouched() {
    [ -z "$(git -C one status --porcelain)" ] || fail "the work tree was changed: $(git -C one status --porcelain)"
    [ "$(git -C one worktree list | wc -l)" -eq 1 ] || fail "the repository has another work tree: $(git -C one worktree list)"
}

# ---- A bisection ----

git -C one bisect start nine good >/dev/null 2>&1
(cd one && git bisect run ../ci/bisect-run --batch 1,100 --threshold 3% good) >bisect.txt 2>&1 ||
    fail "git bisect run: status $?: $(cat bisect.txt)"
grep -qF "$(revision one six) is the first bad commit" bisect.txt || fail "expected the commit six, found $(cat bisect.txt)"
grep -qF "cannot tell" bisect.txt || fail "expected a commit on the way that cannot be judged, found $(cat bisect.txt)"
# The good commit is built once, and so is the program, which is that of the commit first called bad.
for text in "building $(git -C one log -1 --format=%h good)" "building the program of $(git -C one log -1 --format=%h nine)"; do
    [ "$(grep -cF "$text" bisect.txt)" -eq 1 ] || fail "expected \"$text\" once, found $(cat bisect.txt)"
done
for word in "revision $(revision one nine)" --strict 1,100 3%; do
    grep -qxF -- "$word" called || fail "expected \"$word\", found $(cat called)"
done
git -C one bisect reset >/dev/null 2>&1
is_untouched

# ---- One commit at a time ----

program=$(compgen -G "$XDG_CACHE_HOME/batchmark/bisect/*/program-*/build/batchmark")
at three 125 good
says "cannot tell, it does not build"
says 'error: 90% of "fast.filled" & <more>'
[ ! -e called ] || fail "it compared what did not build"
at four 125 good
says "cannot tell, inconclusive"
[ "$(grep -c INCONCLUSIVE out)" -eq 2 ] || fail "expected two comparisons, found $(cat out)"
at five 0 good
# What it builds may be loaded, whatever the caller lets others do.
(umask 0 && at six 1 --cache "$work/open" good -- --model mlp)
says "bad, a regression"
grep -qxF mlp called || fail "expected the argument mlp, found $(cat called)"
[ "$(grep -c REGRESSION out)" -eq 1 ] || fail "expected one comparison, found $(cat out)"
at six 0 --backend same good
# The same code is the same bytes, whatever was built before.
grep -qxF "bm_same.so: IDENTICAL" out || fail "expected identical builds, found $(cat out)"
grep -qxF same called || fail "expected the argument same, found $(cat called)"
is_untouched

# A backend that came later, or went.
git -C one checkout --quiet -b later nine
backend one new 5
git -C one rm --quiet backends/same.txt
commit one "another backend"
at later 125 --backend same good
says "has no backend same"
at nine 128 --backend new good
says "has no backend new"
at later 125 good
says "cases lost"

# A change by hand, as of a commit that needs one to build, is judged with it.
git -C one checkout --quiet three
backend one fast 20
(cd one && ../ci/bisect-run good) >out 2>err && fail "expected a bad commit, found $(cat out err)"
says "building the program of"
says "bad, a regression"
git -C one checkout --quiet .
is_untouched

# Another good revision is another build.
at nine 0 eight

# ---- What is no verdict on a commit ----

pairs=(3:125 139:128 143:143)
[ -z "${BM_TEST_WHOLE-}" ] || pairs=(3:125 5:125 6:125 7:125 2:128 8:128 139:128 143:143)
for pair in "${pairs[@]}"; do
    SMALL_STATUS=${pair%:*} at six "${pair#*:}" good
done
for call in "" "--nothing good" "good good" "--backend" "nonesuch" "--program nothing good" "--cache /dev/null/x good"; do
    read -r -a words <<<"$call"
    at six 128 "${words[@]}"
    [ "$(wc -l <err)" -le 2 ] || fail "bisect-run $call: expected a line, found $(cat err)"
done
CC=nonesuch-cc at six 128 good
says "needs nonesuch-cc"
at six 128 three
says "the good revision $(git -C one rev-parse --short=12 three) does not build"
status=0
ci/bisect-run good >out 2>err || status=$?
[ $status -eq 128 ] || fail "outside of a repository: expected exit code 128, found $status"
# Nor is an error that the script itself does not expect.
# shellcheck disable=SC2016 # the script that is written expands them
printf '#!/bin/sh\n[ "$1" != hash-object ] || exit 1\nexec "%s" "$@"\n' "$(command -v git)" >git
chmod +x git
PATH=$work:$PATH at six 128 good
rm git

# Ctrl-C ends it and what it runs; git bisect stops at once.
set -m
(cd one && exec env SMALL_WAITS="$work/waits" ../ci/bisect-run good) >out 2>err &
pid=$!
set +m
until [ -e waits ]; do
    kill -0 $pid || fail "it ended before: $(cat out err)"
    sleep 0.1
done
kill -s INT $pid
status=0
wait $pid 2>/dev/null || status=$?
[ $status -eq 130 ] || fail "Ctrl-C: expected exit code 130, found $status: $(cat out err)"
[ "$(cat waits)" = interrupted ] || fail "the program was not interrupted as by Ctrl-C"
