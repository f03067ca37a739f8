# What the scripts of this folder share; sourced by them, after `set -euo pipefail`.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit "${2:-1}"
}

# The comment at the top of the script is its help.
show_help() {
    sed -n '2,/^[^#]/{/^#/!q; s/^# \{0,1\}//; p}' "$0"
}

# A --time-limit, "8m", "300s" or "300", in seconds.
seconds_of() {
    [[ $1 =~ ^([1-9][0-9]{0,4})(s|m|)$ ]] || fail "--time-limit: expected a time like 8m or 300s, found \"$1\"" 2
    printf '%d' $((BASH_REMATCH[1] * $([ "${BASH_REMATCH[2]}" = m ] && echo 60 || echo 1)))
}

# configure FOLDER PRESET [CMAKE ARGS...]: a build folder keeps the generator that it was made with.
configure() {
    local folder=$1 preset=$2
    shift 2
    if [ ! -e "$folder/CMakeCache.txt" ] && command -v ninja >/dev/null; then
        set -- -G Ninja "$@"
    fi
    cmake -S "$root" --preset "$preset" -B "$folder" "$@" >"$folder.log" 2>&1 ||
        { cat "$folder.log" >&2; fail "cmake could not configure $folder; what is missing stands above"; }
    rm -f "$folder.log"
}

# build FOLDER [TARGET...]: those, or everything, on all processors that this process may use.
build() {
    local folder=$1
    shift
    cmake --build "$folder" --parallel "$(nproc)" ${1:+--target "$@"}
}
