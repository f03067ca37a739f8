#!/usr/bin/env bash
# What the README says is so: its blocks marked "sh test" run, in order, in a folder that looks like a clone after a build;
# the scripts and files that it names are there, and each command of the other sh blocks answers --help.
# Where BM_TEST_WHOLE is not set, what is measured and trained is small, and `make check` only builds: guide_test.sh checks.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

readme=$BM_TEST_SOURCE_DIR/README.md
[ -z "${BM_TEST_SANITIZE-}" ] || skip "an installation with sanitizers is for nobody"

mkdir "$work/clone" "$work/home"
for entry in "$BM_TEST_SOURCE_DIR"/*; do
    case ${entry##*/} in
    build* | results) ;;
    *) ln -s "$entry" "$work/clone/" ;;
    esac
done
ln -s "$BM_TEST_BINARY_DIR" "$work/clone/build"
cd "$work/clone"

# blocks MARK: the text of all fenced blocks whose first line is ```MARK.
blocks() {
    awk -v mark="\`\`\`$1" '$0 == mark { inside = 1; next } /^```/ { inside = 0 } inside' "$readme"
}

blocks "sh test" >"$work/commands.sh"
[ -s "$work/commands.sh" ] || fail "found no block marked \"sh test\""
if [ -z "${BM_TEST_WHOLE-}" ]; then
    small='--model custom --layers "dense 10"'
    sed -i -e "s/--preset quick\$/& $small --batch 1 --cell-time 20ms --epoch-time 1ms --time-limit 4m/" \
        -e "s/--images 3000 --batch 32,1000 --epochs 2 --seed 1-2\$/$small --images 300 --batch 32 --epochs 1 --seed 1/" \
        -e 's/^\(make .*\) check$/\1/' "$work/commands.sh"
fi
env -u BATCHMARK_PLUGINS -u XDG_STATE_HOME HOME="$work/home" \
    bash -euxo pipefail "$work/commands.sh" >"$work/log" 2>&1 </dev/null || fail "$(tail -n 30 "$work/log")"

blocks sh >"$work/others.sh"
while read -r command _; do
    "$command" --help >/dev/null || fail "$command --help: status $?"
done <"$work/others.sh"

# Its tables were measured: each row stands in a table under results/.
grep '^|' "$readme" >"$work/rows" || fail "found no table"
while read -r row; do
    grep -qxF -- "$row" "$BM_TEST_SOURCE_DIR"/results/*/*.md || fail "a row that no table under results/ has: $row"
done <"$work/rows"

# Names in `code` that look like files of the tree.
# shellcheck disable=SC2016 # Markdown's back quotes
grep -o '`[^` ]*`' "$readme" | tr -d '`' | grep -E '^(\.ci|ci|plugins|harness|tests|backends)/' | sort -u >"$work/files"
[ -s "$work/files" ] || fail "found no file names"
while read -r name; do
    case $name in
    backends/mine/*) ;;
    *) compgen -G "$BM_TEST_SOURCE_DIR/$name" >/dev/null || fail "names $name, which is not there" ;;
    esac
done <"$work/files"
