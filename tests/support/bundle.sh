# Sourced by the tests of bundles: makes one of this build in $work, where it stands afterwards, and unpacks it to
# $top; $data is the data set in it, or none, and "${clean[@]}" runs a command without the environment.
# shellcheck shell=bash
# shellcheck disable=SC2034 # what they take from here

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "a bundle with sanitizers is for nobody"
[ "$(uname -m)" = x86_64 ] || skip "bundles are for x86-64"
for tool in objdump ldd tar gzip; do
    command -v $tool >/dev/null || skip "no $tool"
done
cd "$work" || exit 1
clean=(env -i "PATH=/usr/local/bin:/usr/bin:/bin" "HOME=$work/home")
mkdir home elsewhere "a folder"

# Images of its own where this machine has them.
data=fashion-mnist
"$BM_TEST_PROGRAM" data list | grep -A 1 '^ *fashion-mnist' | grep -q ' in ' || data=none
"$BM_TEST_SOURCE_DIR/ci/bundle" --no-install --build "$BM_TEST_BINARY_DIR" --data $data --output "$work/bundle.tar.gz" \
    >made.txt 2>&1 || fail "$(tail -n 3 made.txt)"
grep -q 'MiB  .*bundle.tar.gz' made.txt || fail "expected a size, found $(cat made.txt)"
tar -xzf bundle.tar.gz -C "a folder"
top=$(echo "$work/a folder"/batchmark-*-linux-x86_64)
[ -x "$top/batchmark" ] || fail "expected a program in $top"
