# What ci/gate and ci/bisect-run share: builds of several revisions, one after the other at one path, so that the same code
# gives the same bytes. Sourced after lib.sh; $root is the repository. A PLACE is a folder with a work tree, tree/, and its
# build folder, build/.
# shellcheck shell=bash disable=SC2154 # root

# need_tools STATUS: what a build and its revision need is there, or this ends with STATUS.
need_tools() {
    local tool
    for tool in git cmake "${CC:-cc}" "${CXX:-c++}"; do
        command -v "${tool%% *}" >/dev/null || fail "needs $tool, which is not there; ci/packages gate installs it" "$1"
    done
}

# A hook names its own repository and index to all that it calls.
forget_caller() {
    local variables
    mapfile -t variables < <(git rev-parse --local-env-vars)
    unset "${variables[@]}"
}

# ---- Interrupts ----

child=
# attend COMMAND...: in a process group of its own, so that an interrupt reaches all of it, and its end can be waited for.
attend() {
    local status=0
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    wait "$child" || status=$?
    child=
    return $status
}

interrupted() {
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
        kill -s "$1" -- "-$child" 2>/dev/null || true # it may just have ended
        wait "$child" 2>/dev/null || true
    fi
    exit $((128 + $(kill -l "$1")))
}

catch_interrupts() {
    local signal
    for signal in INT TERM HUP; do
        # shellcheck disable=SC2064 # the signal of now
        trap "interrupted $signal" $signal
    done
}

# ---- Files ----

# snapshot INDEX --all|--update: prints the tree object of the repository's files as they lie there, with new ones or without;
# INDEX is a scratch file, the repository's own index stays as it is.
snapshot() {
    cp "$(git -C "$root" rev-parse --path-format=absolute --git-path index)" "$1" &&
        GIT_INDEX_FILE=$1 git -C "$root" add "$2" >&2 &&
        GIT_INDEX_FILE=$1 git -C "$root" write-tree
}

# take PLACE COMMIT [TREE]: the files of COMMIT, or of TREE, which came from it. Those that stay the same keep their date, so
# that they are not compiled again.
take() {
    git -C "$1/tree" update-ref --no-deref HEAD "$2" &&
        git -C "$1/tree" read-tree --reset -u "${3:-$2}"
}

# ---- Builds ----

# From a fresh cache: what one revision sets by default must not hold for the next.
configure_place() {
    local generator=()
    ! command -v ninja >/dev/null || generator=(-G Ninja)
    cmake --fresh -S "$1/tree" -B "$1/build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DBM_TESTS=OFF
}

# chosen LIST: of the names read those that LIST ("avx2,vulkan:0") asks for; without it all but null, which computes nothing.
chosen() {
    if [ -z "$1" ]; then
        grep -vxF null || true # an empty list is the caller's to judge
    else
        grep -xF "$(tr , '\n' <<<"$1" | sed 's/:.*//')" || true
    fi
}

# build_place PLACE LIST FOLDER [TARGET...]: the plugins of LIST, which go into FOLDER, and further targets.
build_place() {
    local place=$1 list=$2 folder=$3 names
    shift 3
    # A plugin that this revision has no more must not be there.
    rm -rf "$place/build/plugins" "$folder"
    configure_place "$place" || return
    mapfile -t names < <(cmake --build "$place/build" --target help |
        sed -n 's/.*bm_plugin_\([A-Za-z0-9_]*\).*/\1/p' | sort -u | chosen "$list")
    set -- "$@" "${names[@]/#/bm_plugin_}"
    [ $# -eq 0 ] || cmake --build "$place/build" --parallel "$(nproc)" --target "$@" || return
    mkdir -p "$folder" || return
    ! has_plugins "$place/build/plugins" || cp "$place"/build/plugins/bm_*.so "$folder/"
}

has_plugins() {
    compgen -G "$1/bm_*.so" >/dev/null
}
