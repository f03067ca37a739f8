#!/usr/bin/env bash
# `batchmark data`: what is found is listed and verified, damage ends with 2 and one line that names it.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

export HOME=$work/home XDG_DATA_HOME=$work/xdg BATCHMARK_DATA=$work/data
mkdir -p "$work/data/mnist"

fail() {
    printf 'failed: %s\n' "$1" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
}
# expect CODE ARGUMENTS...: runs the command, output in $work/out and $work/err
expect() {
    local expected=$1 code=0
    shift
    "$BM_TEST_PROGRAM" data "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$expected" ] || fail "data $*: exit code $code, expected $expected"
}
has() { grep -qF -- "$2" "$work/$1" || fail "$1 lacks: $2"; }
one_error_line() { [ "$(wc -l <"$work/err")" = 1 ] || fail "expected one line of error"; }

expect 0 --help
has out 'usage: batchmark data list'
has out '--data-dir FOLDER'

expect 0 list
has out 'cifar10        not available: expected data_batch_1.bin[.gz] in or below'
has out 'synthetic      made from the seed'

# Two training images and one test image of 2x2, one file gzip'd.
set_of() {
    printf '\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\2abcdefgh' >"$1/train-images-idx3-ubyte"
    printf '\0\0\10\1\0\0\0\2\1\11' | gzip >"$1/train-labels-idx1-ubyte.gz"
    printf '\0\0\10\3\0\0\0\1\0\0\0\2\0\0\0\2abcd' >"$1/t10k-images-idx3-ubyte"
    printf '\0\0\10\1\0\0\0\1\3' >"$1/t10k-labels-idx1-ubyte"
}
set_of "$work/data/mnist"
expect 0 list
has out 'mnist          2 + 1 images of 1x2x2, 10 classes'
has out "in $work/data/mnist"

# Whole, but not the MNIST that everybody means.
expect 2 verify mnist
has out '2 + 1 images of 1x2x2, 10 classes: whole, labels in range'
has out "$(sha256sum <"$work/data/mnist/t10k-labels-idx1-ubyte" | cut -d' ' -f1)  t10k-labels-idx1-ubyte  DIFFERS"
has out "$(gzip -dc "$work/data/mnist/train-labels-idx1-ubyte.gz" | sha256sum | cut -d' ' -f1)  train-labels-idx1-ubyte"
has err 'expected the content with SHA-256 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db'

printf '\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\2abcdefg' >"$work/data/mnist/train-images-idx3-ubyte"
expect 2 verify mnist
has err "batchmark data: $work/data/mnist/train-images-idx3-ubyte: truncated: expected 24 bytes of content, found 23 bytes"
one_error_line
expect 0 list
has out "mnist          not available: $work/data/mnist/train-images-idx3-ubyte: truncated"

# --data-dir is stronger than the variable.
mkdir "$work/other"
set_of "$work/other"
expect 0 list --data-dir "$work/other"
has out 'mnist          2 + 1 images of 1x2x2, 10 classes'

# A set of which a file is missing is not one that is absent, by name or without.
rm "$work/data/mnist/t10k-labels-idx1-ubyte"
for name in '' mnist; do
    # shellcheck disable=SC2086  # the name, if there is one, is the argument
    expect 2 verify $name
    has err "mnist: $work/data/mnist: expected t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, found neither"
    one_error_line
done

# Without names, what is absent is no fault; by name it is.
rm -r "$work/data/mnist"
expect 0 verify
has out 'cifar100 is not here'
has out 'synthetic is made from the seed'
expect 2 verify cifar100
has err 'batchmark data: cifar100: expected train.bin[.gz] in or below'
one_error_line

for words in '' 'lst' 'list mnist' 'verify MNIST' 'list --bacth 1'; do
    # shellcheck disable=SC2086  # the words are the arguments
    expect 2 $words
    one_error_line
done
has err 'expected an option, found an unknown name'

# The distribution's Fashion-MNIST is the published one.
if [ -d /usr/share/datasets/fashion-mnist ]; then
    expect 0 verify fashion-mnist
    has out '60000 + 10000 images of 1x28x28, 10 classes: whole, labels in range'
    [ "$(grep -c 'as published' "$work/out")" = 4 ] || fail 'expected four published digests'
fi
