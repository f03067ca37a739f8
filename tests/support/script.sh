# What test scripts have in common, sourced by them first: fail and skip, which name the script, and a new folder $work for
# its files, removed at its end. Where BM_TEST_WHOLE is set, it is slow_NAME, the nightly form, which leaves out no case.
# shellcheck shell=bash

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$1" >&2
    exit 1
}

# install_program FOLDER: this build, without the rivals, whose libraries are large.
install_program() {
    local component
    for component in program development; do
        cmake --install "$BM_TEST_BINARY_DIR" --prefix "$1" --component $component >"$work/log" || fail "$(tail -n 3 "$work/log")"
    done
}

# 77: what ctest counts as skipped.
skip() {
    printf '%s: skipped: %s\n' "$(basename "$0" .sh)" "$1"
    exit 77
}
