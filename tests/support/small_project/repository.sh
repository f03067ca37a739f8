# A repository of the small project beside this file, with the scripts of ci/; sourced by tests.
# shellcheck shell=bash

# Neither the settings of this user nor the job that runs the tests may be seen.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
unset GITHUB_BASE_REF GITHUB_ACTIONS GITHUB_STEP_SUMMARY CI_DEFAULT_BRANCH "${!CI_MERGE_REQUEST_@}"
unset "${!GIT_AUTHOR_@}" "${!GIT_COMMITTER_@}"

# make_repository FOLDER: one commit on main, with the backends fast, same and null.
make_repository() {
    mkdir -p "$1/backends"
    cp "$BM_TEST_SOURCE_DIR"/tests/support/small_project/{CMakeLists.txt,compile,program.in} "$1/"
    cp -r "$BM_TEST_SOURCE_DIR/ci" "$1/ci"
    printf '/build*/\n' >"$1/.gitignore"
    git init --quiet --initial-branch=main "$1"
    backend "$1" fast 10
    backend "$1" same 10
    backend "$1" null 0
    commit "$1" "a fast backend"
}

# backend FOLDER NAME COST
backend() {
    # shellcheck disable=SC2016 # CMake fills them in
    printf 'cost %s\nflags @SMALL_FLAGS@\nbuilt in @CMAKE_SOURCE_DIR@ @CMAKE_BINARY_DIR@\n' "$3" >"$1/backends/$2.txt"
}

# commit FOLDER TEXT
commit() {
    git -C "$1" add --all
    git -C "$1" -c user.name=test -c user.email=test@localhost commit --quiet --allow-empty -m "$2"
}

revision() {
    git -C "$1" rev-parse "${2:-HEAD}"
}
