#!/usr/bin/env bash
# The scripts of ci/ explain themselves and refuse what they do not know, from any folder; the list of packages holds
# what CMake requires, and on a system without packages it says what is missing and lets the build try.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

ci=$BM_TEST_SOURCE_DIR/ci
cd "$work"

for script in "$ci"/* "$BM_TEST_SOURCE_DIR/.ci/run"; do
    if [ ! -x "$script" ] || [ ! -f "$script" ]; then
        continue
    fi
    help=$("$script" --help) || fail "${script##*/} --help: status $?"
    [[ $help == usage:* ]] || fail "${script##*/} --help: expected usage, found \"${help%%$'\n'*}\""
done

for call in packages "packages nothing" "lint nothing" "sanitize nothing" "fuzz nothing" "fuzz --seconds no" \
    clean-room "clean-room --nothing" "bundle --nothing" "package --nothing" "package --output" "gpu-host --time-limit soon" \
    "gate --nothing"; do
    read -r -a words <<<"$call"
    status=0
    "$ci/${words[0]}" "${words[@]:1}" >out 2>err || status=$?
    [ $status -eq 2 ] || fail "ci/$call: expected status 2, found $status"
    [ "$(wc -l <err)" -eq 1 ] || fail "ci/$call: expected one line, found $(cat err)"
done

"$ci/packages" --list bench >bench.txt
"$ci/packages" --list lint >lint.txt
[ -z "$(comm -23 bench.txt lint.txt)" ] || fail "lint lacks packages of bench: $(comm -23 bench.txt lint.txt)"

# Every module that pkg-config must find comes with a package of the list; only Debian can tell which.
if command -v dpkg >/dev/null; then
    modules=$(sed -n 's/^pkg_check_modules(.* REQUIRED .* \(.*\))/\1/p' "$BM_TEST_SOURCE_DIR/CMakeLists.txt")
    [ -n "$modules" ] || fail "found no pkg_check_modules in CMakeLists.txt"
    for module in $modules; do
        file=$(pkg-config --variable=pcfiledir "$module")/$module.pc
        package=$(dpkg -S "$file" | sed 's/[:,].*//')
        grep -qxF "$package" bench.txt || fail "ci/packages lacks $package, which holds $module"
    done
fi

# Another distribution: neither apt-get nor dpkg, and of the commands only these.
mkdir bin
for tool in bash sed sort cut dirname cat id mktemp rm; do
    ln -s "$(command -v $tool)" bin/$tool
done
PATH=$work/bin "$ci/packages" bench 2>err || fail "without packages: status $?"
[[ $(cat err) == *"not Debian"*cmake*g++*libjansson-dev* ]] || fail "without packages: found $(cat err)"
[ "$(wc -l <err)" -eq 1 ] || fail "without packages: expected one line, found $(cat err)"
