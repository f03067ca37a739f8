#!/usr/bin/env bash
# `batchmark data fetch` against a server on loopback that also cuts off, lies about length, serves wrong bytes, redirects to files
# of this machine and falls silent: what arrives under the name is the published file, or one line says why nothing does. Each
# arrival is checked whole, which takes its time: the short form has fewer of those that go on after a fault.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true # it may have ended
    rm -rf "$work"
}
trap cleanup EXIT
published=/usr/share/datasets/fashion-mnist
[ -d $published ] || skip 'no Fashion-MNIST here (package dataset-fashion-mnist)'
# Fetching needs a library that is optional.
"$BM_TEST_PROGRAM" data fetch mnist --mirror http://127.0.0.1:1/x --data-dir "$work/none" >"$work/out" 2>&1 || true # see out
! grep -qF 'libcurl' "$work/out" || skip "$(cat "$work/out")"

unset http_proxy https_proxy all_proxy no_proxy HTTPS_PROXY ALL_PROXY NO_PROXY
export HOME=$work/home XDG_DATA_HOME=$work/xdg BATCHMARK_DATA=
python3 "$BM_TEST_SOURCE_DIR/tests/support/fetch_server.py" $published "$work/log" >"$work/port" &
server=$!
for _ in $(seq 600); do
    [ ! -s "$work/port" ] || break
    sleep 0.05
done
base=http://127.0.0.1:$(cat "$work/port")
images=train-images-idx3-ubyte.gz
folder=$work/xdg/batchmark/fashion-mnist

fail() {
    printf 'failed: %s\n' "$1" >&2
    cat "$work/out" "$work/err" "$work/log" >&2
    exit 1
}
# fetch CODE BEHAVIOUR ARGUMENTS...: in a fresh folder unless `go_on` was called before
fetch() {
    local expected=$1 behaviour=$2 code=0
    shift 2
    : >"$work/log"
    "$BM_TEST_PROGRAM" data fetch fashion-mnist --mirror "$base/$behaviour" "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$expected" ] || fail "$behaviour: exit code $code, expected $expected"
}
anew() { rm -rf "$work/xdg"; }
has() { grep -qF -- "$2" "$work/$1" || fail "$1 lacks: $2"; }
one_error_line() { [ "$(wc -l <"$work/err")" = 1 ] || fail "expected one line of error"; }
is_published() {
    local file
    for file in "$published"/*.gz; do
        cmp "$file" "$folder/${file##*/}" || fail "${file##*/} differs"
    done
    [ "$(find "$folder" -type f | wc -l)" = 4 ] || fail "expected four files: $(ls "$folder")"
}
nothing_there() {
    [ ! -e "$folder/$images" ] || fail "something has the name of a whole file"
}
no_part() {
    [ ! -e "$folder/$images.part" ] || fail 'a part is left that nobody wants'
}

# Waits until a download from the silent server has its 1000 bytes: its log tells what was asked for, not what has arrived.
await_silence() {
    for _ in $(seq 600); do
        [ "$(stat -c %s "$1" 2>/dev/null)" != 1000 ] || break
        sleep 0.05
    done
}

# A server that falls silent, beside what follows up to "Bad days".
quiet=$work/quiet/fashion-mnist/$images
"$BM_TEST_PROGRAM" data fetch fashion-mnist --mirror "$base/silent" --hang-time 5s --data-dir "$work/quiet" >"$work/quiet.out" \
    2>"$work/quiet.err" &
waiting=$!
await_silence "$quiet.part"

# ---- What arrives ----

anew
fetch 0 slow
is_published
has out 'fashion-mnist: 60000 + 10000 images of 1x28x28, 10 classes'
has out "in $folder, as published"
"$BM_TEST_PROGRAM" data list >"$work/out"
has out "in $folder"
# By a redirect; --data-dir, and a slash too many.
fetch 0 moved/ --data-dir "$work/own"
folder=$work/own/fashion-mnist is_published
has out "in $work/own/fashion-mnist, as published"
# Through a proxy, to a name that only it knows, and files that another place has first.
anew
: >"$work/log"
BATCHMARK_DATA=$work/own http_proxy=$base "$BM_TEST_PROGRAM" data fetch fashion-mnist --mirror http://data.invalid/set \
    >"$work/out" 2>"$work/err" || fail 'through a proxy'
is_published
has log "proxied $images"
has out "but those in $work/own/fashion-mnist come first"

# ---- Cut off ----

anew
fetch 0 cutonce
is_published
[ "$(grep -c "cutonce $images bytes=" "$work/log")" = 1 ] || fail 'a download that was cut off did not go on by itself'
anew
fetch 2 cut
has err "/cut/$images: expected a download, found: "
one_error_line
nothing_there
part=$(stat -c %s "$folder/$images.part")
[ "$part" -gt 0 ] || fail 'what had arrived is lost'
[ "$(wc -l <"$work/log")" = 5 ] || fail 'expected five tries'
fetch 0 whole
has log "whole $images bytes=$part-"
is_published
# The last call ended between the last byte and the name. What is there is not fetched again, with its name or without.
mv "$folder/$images" "$folder/$images.part"
fetch 0 whole
is_published
[ ! -s "$work/log" ] || fail 'fetched what was there whole'
# Parts that are of something else, and too long; from a server that cannot go on, too. Where it went on and what came is wrong,
# it was perhaps begun wrong: once more, from the start.
go_on_from() { # BYTES BEHAVIOUR
    rm "$folder/$images"
    head -c "$1" /dev/zero >"$folder/$images.part"
    fetch 0 "$2"
    is_published
    [ "$(grep -c "$2 $images" "$work/log")" = 2 ] || fail "$2 after $1 bytes: expected two requests"
}
go_on_from 1000 whole
go_on_from 30000000 whole
go_on_from 1000 norange
[ -z "${BM_TEST_WHOLE-}" ] || go_on_from 30000000 norange

# ---- Lies ----

anew
fetch 2 wrong
has err "$images.part: "
one_error_line
nothing_there
no_part
anew
fetch 2 short
has err 'expected a whole gzip stream, found its end too early (truncated)'
nothing_there
no_part
anew
fetch 2 long
has err "/long/$images: expected a download, found: "
nothing_there
if [ -n "${BM_TEST_WHOLE-}" ]; then
    fetch 0 whole
    is_published
fi
if [ -n "${BM_TEST_WHOLE-}" ]; then # begun well and gone on wrong
    anew
    mkdir -p "$folder"
    head -c 1000 "$published/$images" >"$folder/$images.part"
    fetch 0 wrongonce
    is_published
    [ "$(grep -c "wrongonce $images" "$work/log")" = 2 ] || fail 'expected a second try'
fi
anew
fetch 2 endless
has err 'expected at most 268435456 bytes, found more'
nothing_there
no_part

# ---- Where it must not lead ----

anew
fetch 2 file
has err "/file/$images: expected a download, found: "
nothing_there
no_part
fetch 2 loop
has err 'Maximum (5) redirects followed'
base=file://$published fetch 2 .
has err 'file:'
nothing_there
fetch 2 absent/more
has err '404'
nothing_there

# ---- Bad days ----

code=0
wait $waiting || code=$?
cp "$work/quiet.out" "$work/out"
cp "$work/quiet.err" "$work/err"
[ $code = 2 ] || fail "silent: exit code $code, expected 2"
one_error_line
has err "/silent/$images: expected a download, found a server silent for 5 s after 1000 bytes"
[ "$(stat -c %s "$quiet.part")" = 1000 ] || fail 'what had arrived is lost'
[ ! -e "$quiet" ] || fail 'something has the name of a whole file'
base=http://127.0.0.1:1 fetch 2 x
has err 'expected a download, found: '
has err 'onnect'
one_error_line
: >"$work/log"
"$BM_TEST_PROGRAM" data fetch fashion-mnist --mirror "$base/silent" >"$work/out" 2>"$work/err" &
fetching=$!
await_silence "$folder/$images.part"
kill -INT $fetching
code=0
wait $fetching || code=$?
[ $code = 130 ] || fail "Ctrl-C: exit code $code"
has err 'interrupted after 1000 bytes'
has err 'the same command goes on from there'
nothing_there
[ "$(stat -c %s "$folder/$images.part")" = 1000 ] || fail 'Ctrl-C: what had arrived is lost'
if [ -n "${BM_TEST_WHOLE-}" ]; then
    fetch 0 whole
    has log "whole $images bytes=1000-"
    is_published
fi
anew
(ulimit -f 1000; fetch 8 whole) || exit 1
has err "$images.part: expected room for the download: File too large"
one_error_line
nothing_there
touch "$work/file"
fetch 8 whole --data-dir "$work/file"
one_error_line
anew
mkdir -p "$folder"
(flock -s 9; fetch 2 whole) 9>"$folder/$images.part" || exit 1
has err 'another process is writing it'
anew
mkdir -p "$folder"
printf 'mine' >"$folder/${images%.gz}"
fetch 2 whole
has err "$folder/${images%.gz}: expected the published file with SHA-256 "
[ "$(cat "$folder/${images%.gz}")" = mine ] || fail "somebody's file is gone"
for words in '' 'imagenet' 'mnist MNIST --mirror http://127.0.0.1:1'; do
    # shellcheck disable=SC2086  # the words are the arguments
    ! "$BM_TEST_PROGRAM" data fetch $words >"$work/out" 2>"$work/err" || fail "fetch $words"
done
"$BM_TEST_PROGRAM" data fetch synthetic >"$work/out"
has out 'made from the seed'
printf 'ok\n'
