#!/usr/bin/env bash
# Two builds of one tree give the same bytes: copies of it in two folders, one after the other, under another mask, time zone,
# language and home, each by ci/package. What is installed is compared file by file, with its symbols, then the packages.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

build_type=$(sed -n 's/^CMAKE_BUILD_TYPE:[A-Z]*=//p' "$BM_TEST_BINARY_DIR/CMakeCache.txt")
if [ -n "${BM_TEST_SANITIZE-}" ] || [ "$build_type" != Release ]; then
    skip "tried where the tests of a release run"
fi
for tool in cpack dpkg-deb dpkg-shlibdeps file; do
    command -v $tool >/dev/null || skip "no $tool"
done
cd "$work"
unset SOURCE_DATE_EPOCH

another=another/folder/with/a/longer/name
for folder in first $another; do
    mkdir -p "$folder/sources"
    tar -C "$BM_TEST_SOURCE_DIR" --exclude='./build*' -cf - . | tar -C "$folder/sources" -xf - --no-same-owner
done

# build_copy FOLDER: its packages and an installation, beside the sources.
build_copy() {
    "$1/sources/ci/package" --no-install --output "$work/$1/packages" >"$1/log.txt" 2>&1 ||
        fail "ci/package in $1: $(tail -n 20 "$1/log.txt")"
    cmake --install "$1/sources/build-package" --prefix "$work/$1/installed" >/dev/null
}

build_copy first
(
    umask 077
    mkdir home
    HOME=$work/home TZ=Asia/Tokyo LC_ALL=C.UTF-8 build_copy $another
)

# Both have the same files, and each has the same bytes.
compare() {
    local first=first/$1 second=$another/$1 file names=
    (cd "$first" && find . -type f | sort) >files.txt
    [ -s files.txt ] || fail "expected files in $first, found none"
    (cd "$second" && find . -type f | sort) | cmp -s - files.txt || fail "$1: not the same files"
    while read -r file; do
        cmp -s "$first/$file" "$second/$file" || names+=" ${file#./}"
    done <files.txt
    [ -z "$names" ] || fail "$1, other bytes in:$names"
    echo "slow_reproducible_test: $1: $(wc -l <files.txt) files, all the same"
}

compare installed
compare packages
