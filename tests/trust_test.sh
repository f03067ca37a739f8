#!/usr/bin/env bash
# Which plugins are loaded: only those that nobody else may change, from the places that are searched, and only the very file
# that was hashed. What depends on other owners is looked at as root only; the part that takes is said.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

umask 022

work=$(realpath "$work")
program=$BM_TEST_PROGRAM
null=$BM_TEST_PLUGIN_DIR/bm_null.so
stranger=54321
export HOME=$work/home
unset BATCHMARK_PLUGINS

# fresh: an own folder $work/a/b with a plugin in it, which may be loaded.
fresh() {
    plugin=$work/a/b/bm_null.so
    rm -rf "$work/a"
    mkdir -p "$work/a/b"
    cp "$null" "$plugin"
    chmod 0644 "$plugin"
}

check() {
    "$program" check "$plugin" --filter file.table "$@" >"$work/out" 2>"$work/err"
}

# loads WHAT [ARGUMENTS...], refuses WHAT FOUND: what `check` says of the plugin.
loads() {
    local found=0
    check "${@:2}" || found=$?
    [ $found = 0 ] || fail "$1: expected it to be loaded, found exit code $found: $(cat "$work/err")"
}
refuses() {
    local found=0
    check || found=$?
    [ $found = 6 ] || fail "$1: expected exit code 6, found $found: $(cat "$work/out" "$work/err")"
    [ "$(wc -l <"$work/err")" = 1 ] || fail "$1: expected one line, found $(cat "$work/err")"
    grep -q "bm_null.so: expected that only root.* may change it, found $2.*; --trust loads it all the same" "$work/err" ||
        fail "$1: expected \"found $2\", found $(cat "$work/err")"
    loads "$1, with --trust" --trust
}

# ---- Modes ----

fresh
loads "a file of one's own"
chmod 0646 "$plugin"
refuses "a file that all may write" "$plugin with mode 0646, owner $(id -u), "
chmod 0444 "$plugin"
loads "a file that nobody may write"
chmod 0777 "$work/a/b"
refuses "a folder that all may write" "$work/a/b with mode 0777"
chmod 0755 "$work/a/b"
chmod 0757 "$work/a"
refuses "a folder above that all may write" "$work/a with mode 0757"
chmod 1777 "$work/a" "$work/a/b"
loads "folders like /tmp"

# ---- Other kinds of files ----

fresh
mkdir "$work/a/links"
ln -s "$plugin" "$work/a/links/bm_null.so"
chmod 0646 "$plugin"
target=$plugin
plugin=$work/a/links/bm_null.so
refuses "a link to what all may write" "$target with mode 0646"
plugin=$target
chmod 0644 "$plugin"
chmod 0777 "$work/a/links"
plugin=$work/a/links/bm_null.so
loads "a link in a folder that all may write: what it leads to is judged, and loaded"
plugin=$target

expect() { # expect CODE TEXT ARGUMENTS...
    local code=$1 text=$2 found=0
    shift 2
    timeout 250 "$program" "$@" >"$work/out" 2>"$work/err" || found=$?
    [ $found = "$code" ] || fail "$*: expected exit code $code, found $found: $(cat "$work/out" "$work/err")"
    grep -qF -- "$text" "$work/out" "$work/err" || fail "$*: expected \"$text\", found $(cat "$work/out" "$work/err")"
}
mkdir "$work/odd" "$work/odd/bm_folder.so"
mkfifo "$work/odd/bm_pipe.so"
ln -s nowhere "$work/odd/bm_lost.so"
expect 2 "bm_pipe.so: expected a plain file, found a pipe" list --plugin "$work/odd/bm_pipe.so"
expect 2 "bm_folder.so: expected a plain file, found a folder" list --plugin "$work/odd/bm_folder.so"
expect 2 "bm_pipe.so: expected a plain file, found a pipe" compare "$work/odd/bm_pipe.so" "$work/odd/bm_pipe.so"
expect 2 "bm_lost.so: no such plugin" list --plugin "$work/odd/bm_lost.so"

# ---- Named and found ones, together ----

chmod 0646 "$plugin"
cp "$BM_TEST_PLUGIN_DIR/bm_scalar.so" "$work/a/b/"
mkfifo "$work/a/b/bm_pipe.so"
export BATCHMARK_PLUGINS=$work/a/b
"$program" list >"$work/out" 2>"$work/err" || fail "list: expected exit code 0: $(cat "$work/err")"
grep -q "^  null  not available: bm_null.so: expected that only root" "$work/out" || fail "no reason: $(cat "$work/out")"
grep -q "^  bm_pipe.so  not available: .*found a pipe" "$work/out" || fail "no pipe: $(cat "$work/out")"
grep -q "^    scalar:0" "$work/out" || fail "the others do not go on: $(cat "$work/out")"
unset BATCHMARK_PLUGINS
expect 6 "REFUSED: base: bm_null.so: expected that only root" \
    compare "$plugin" "$work/a/b/bm_scalar.so" --dataset synthetic --batch 1 -o "$work/refused.jsonl"
expect 6 "bm_null.so: expected that only root" compare --self-test "$plugin" --dataset synthetic

# ---- Records say so ----

by_trust() { # by_trust EXPECTED RECORD
    python3 - "$@" <<'PYTHON'
import json, sys
found = {str(o["plugin"]["by_trust"]).lower() for o in map(json.loads, open(sys.argv[2])) if o["kind"] in ("cell", "conformance")}
sys.exit(f"trust_test: {sys.argv[2]}: by_trust: expected {sys.argv[1]}, found {found}" if found != {sys.argv[1]} else 0)
PYTHON
}
small=(run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --backend null --batch 7 --plugin "$plugin")
expect 6 "expected that only root" "${small[@]}" -o "$work/refused.jsonl"
expect 0 "record" "${small[@]}" --trust -o "$work/trusted.jsonl"
by_trust true "$work/trusted.jsonl"
grep -q "^null: loaded by --trust: others may change this plugin$" "$work/out" || fail "run does not say so: $(cat "$work/out")"
chmod 0644 "$plugin"
expect 0 "record" "${small[@]}" --trust -o "$work/own.jsonl"
by_trust false "$work/own.jsonl"
! grep -q "loaded by --trust" "$work/out" || fail "run says so of one that only root may change: $(cat "$work/out")"
chmod 0646 "$plugin"
loads "for a record" --trust --format jsonl
by_trust true "$work/out"
sed "1a trust = yes" "$BM_TEST_SOURCE_DIR/tests/support/small.ini" >"$work/trust.ini"
expect 0 "record" run --config "$work/trust.ini" --backend null --batch 7 --plugin "$plugin" -o "$work/ini.jsonl"
by_trust true "$work/ini.jsonl"
mkdir "$work/head"
cp "$BM_TEST_PLUGIN_DIR/bm_scalar.so" "$work/head/"
chmod 0646 "$work/head/bm_scalar.so"
pair=("$BM_TEST_PLUGIN_DIR/bm_scalar.so" "$work/head/bm_scalar.so")
expect 0 "plugin of scalar: loaded without --trust, now loaded with --trust" \
    compare "${pair[@]}" --trust --dataset synthetic --batch 1 -o "$work/compare.jsonl"
# ---- The places that are searched, and no other ----

mkdir -p "$work/here/plugins" "$HOME/.local/lib/batchmark" "$work/named"
for folder in here here/plugins named; do
    cp "$null" "$work/$folder/bm_${folder//\//_}.so"
done
cp "$null" "$HOME/.local/lib/batchmark/bm_home.so"
(cd "$work/here" && BATCHMARK_PLUGINS=":$work/named:" "$program" list) >"$work/out"
grep -q "$work/named/bm_named.so" "$work/out" || fail "a folder of BATCHMARK_PLUGINS is not searched"
grep -q "$HOME/.local/lib/batchmark/bm_home.so" "$work/out" || fail "the user's folder is not searched"
# Of two files of one name the first is taken, and the other one shown.
mkdir "$work/later"
cp "$work/named/bm_named.so" "$work/later"
for order in "named:later" "later:named"; do
    first=$work/${order%:*}/bm_named.so second=$work/${order#*:}/bm_named.so
    BATCHMARK_PLUGINS="${first%/*}:${second%/*}" "$program" list >"$work/out"
    grep -q "^  bm_named.so  shadowed by an earlier file of that name: $second" "$work/out" ||
        grep -q "^  named  shadowed by an earlier file of that name: $second" "$work/out" ||
        fail "the second of a name is not shown as shadowed: $(cat "$work/out")"
    ! grep -q "shadowed.*: $first" "$work/out" || fail "the first of a name is shadowed: $(cat "$work/out")"
done
! grep -q "bm_here" "$work/out" || fail "the current folder is searched: $(cat "$work/out")"

# ---- The file that was hashed, and no other ----

# A plugin that becomes another file once it was hashed: refused by the worker, and nothing in the other one was called.
swaps() { # swaps AT TEXT TRACES
    fresh
    cp "$BM_TEST_BINARY_DIR/tests/plugins/trap/bm_trap.so" "$work/a/b/other"
    : >"$work/trap"
    local found=0
    LD_PRELOAD=$BM_TEST_BINARY_DIR/tests/plugins/swap/libbm_swap.so SWAP_AT=$1 SWAP_PLUGIN=$plugin SWAP_OTHER=$work/a/b/other \
        TRAP_FILE=$work/trap "$program" check "$plugin" --filter file.table >"$work/out" 2>"$work/err" || found=$?
    [ $found = 6 ] || fail "swapped at $1: expected exit code 6, found $found: $(cat "$work/out" "$work/err")"
    grep -q "$plugin: expected the file that was hashed when the command began, found $2" "$work/err" ||
        fail "swapped at $1: expected \"$2\", found $(cat "$work/err")"
    [ "$(cat "$work/trap")" = "$3" ] || fail "swapped at $1: expected of it \"$3\", found \"$(cat "$work/trap")\""
}
if [ -z "$BM_TEST_SANITIZE" ]; then
    swaps start "another one" ""
    swaps load "another one was loaded" "loaded"
    fresh
    cp "$BM_TEST_BINARY_DIR/tests/plugins/trap/bm_trap.so" "$plugin"
    : >"$work/trap"
    TRAP_FILE=$work/trap check && fail "the trap passes for a plugin"
    grep -q called "$work/trap" || fail "the trap does not note calls: nothing above was shown"
else
    echo "left out: swapped files, which need a preloaded library"
fi

# ---- Groups and owners ----

# A private group, as umask 002 gives it to everything.
user=$(id -un 2>/dev/null) || user="a user without a name"
if [ "$(id -gn 2>/dev/null)" = "$user" ] && getent group "$user" | grep -qE ":($user)?\$"; then
    fresh
    chgrp -R "$(id -g)" "$work/a"
    chmod -R g+w "$work/a"
    loads "all that umask 002 makes, with a private group"
else
    echo "left out: a private group, which $user has not"
fi

# An access list, whose rights show as those of the group.
fresh
if python3 - "$plugin" $stranger <<'PYTHON'
import os, struct, sys
entries = [(1, 6, 0xffffffff), (2, 6, int(sys.argv[2])), (4, 4, 0xffffffff), (16, 6, 0xffffffff), (32, 4, 0xffffffff)]
try:
    os.setxattr(sys.argv[1], "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries))
except OSError:
    sys.exit(1)
PYTHON
then
    refuses "a file that a list lets others write" "$plugin with mode 0664, owner .* and an access list"
else
    echo "left out: access lists, which this file system has not"
fi

if [ "$(id -u)" != 0 ]; then
    echo "left out: files of other owners, which only root can make"
    exit 0
fi
fresh
chgrp $stranger "$plugin"
loads "a file of another group that may not write it"
chmod 0664 "$plugin"
refuses "a file of a group with others in it" "$plugin with mode 0664, owner 0, group $stranger"
fresh
chown $stranger "$plugin"
refuses "a file of somebody else" "$plugin with mode 0644, owner $stranger, "
chmod 1777 "$work/a/b"
refuses "a file of somebody else in a folder like /tmp" "$plugin with mode 0644, owner $stranger, "
fresh
chown $stranger "$work/a"
refuses "a folder of somebody else" "$work/a with mode 0755, owner $stranger, "

# Who may change the program needs no plugin: a tree that somebody else has built, or unpacked as somebody else.
tree=$work/tree
mkdir -p "$tree/bin" "$tree/plugins"
cp "$program" "$tree/bin/batchmark"
cp "$null" "$tree/plugins/"
chown -R $stranger:$stranger "$tree"
chmod -R g+w "$tree"
program=$tree/bin/batchmark plugin=$tree/plugins/bm_null.so
loads "a tree of somebody else, with its own program"
chgrp $((stranger + 1)) "$plugin"
refuses "a file of a group that may not change the program" "$plugin with mode 0[67][67]., owner $stranger, group $((stranger + 1))"
fresh
chown -R $((stranger + 1)) "$work/a"
refuses "a file of somebody who may not change the program" "$work/a with mode 0755, owner $((stranger + 1))"
# The first group of a user, but one that bears another name: others have it too.
if [ "$(id -gn nobody)" != nobody ]; then
    chmod -R g-w "$tree"
    chown -R nobody "$tree"
    chgrp "$(id -g nobody)" "$tree/plugins/bm_null.so"
    chmod g+w "$tree/plugins/bm_null.so"
    plugin=$tree/plugins/bm_null.so
    refuses "a file of a group that is no private one" "$plugin with mode 0[67][67]., owner $(id -u nobody), group $(id -g nobody)"
fi
chmod 0777 "$tree"
chgrp -R $stranger "$tree"
plugin=$tree/plugins/bm_null.so
loads "a program in a folder that all may write, and a plugin beside it"
