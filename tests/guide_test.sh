#!/usr/bin/env bash
# Everything in plugins/README.md is so: all its blocks are run, in order, in one shell, against an installation; C goes into
# the new backend, which must pass again, and C++ into a copy of it; the names that it mentions exist.
# Where BM_TEST_WHOLE is not set, a check of all is one of a part of the suite; conformance.mychip is all of it.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "an installation with sanitizers is for nobody"
install_program "$work/first"
mv "$work/first" "$work/prefix"
guide=$work/prefix/share/doc/batchmark/plugins.md
[ -e "$guide" ] || fail "the guide is not installed"
mkdir "$work/home" "$work/here"

# What the blocks are to the shell that runs them all. It stands in the new backend's folder.
cat >"$work/script" <<'SCRIPT'
# Of the template as it is, which passes the whole suite in conformance.mychip, a part.
part='@(file|calls|memory).*'
batchmark() {
    if [ "$1" = check ] && [[ $* != *--filter* && $* != *--list* ]]; then
        command batchmark "$@" --filter "$part"
    else
        command batchmark "$@"
    fi
}
# So too what `make check` would run.
make() {
    if [ "$*" = check ] && [ -z "${BM_TEST_WHOLE-}" ]; then
        command make --dry-run check | grep -x '".*/bin/batchmark" check bm_mychip\.so' | sed "s/\$/ --filter '$part'/" | sh
    else
        command make "$@"
    fi
}
try_cmake() {
    mkdir ../project
    cp ./*.c ./*.h ../project
    cp "$1" ../project/CMakeLists.txt
    cmake -S ../project -B ../project/build "-DCMAKE_PREFIX_PATH=$PREFIX"
    cmake --build ../project/build
    batchmark check ../project/build/bm_mychip.so --filter '@(file|calls).*'
}
add_calls() {
    awk -v file="$1" '/---- The table ----/ { while ((getline line <file) > 0) print line; print "" } { print }' \
        mychip.c >mychip.new
    mv mychip.new mychip.c
}
add_table() {
    sed -i "/^    .describe = describe,/r $1" mychip.c
    cmake --preset release -DCMAKE_C_FLAGS=-Werror
    cmake --build --preset release
    if [ -n "${BM_TEST_WHOLE-}" ]; then
        command batchmark check build/bm_mychip.so
    else
        batchmark check build/bm_mychip.so --filter '!(numerics|precision|wait|cells).*'
    fi
    batchmark list --verbose --plugin build/bm_mychip.so |
        grep 'optional calls: update read_state and write_state write_gradient$'
}
# mychip's C as C++, with what the guide says of C++ in its place; and its templates with a task that throws.
try_cpp() {
    grep -qw avx2 /proc/cpuinfo || return 0
    mkdir ../cpp
    cp ../cpp.cmake ../cpp/CMakeLists.txt
    cp exports.map mychip.h ../cpp
    awk -v table=../table.inc -v device=../device.inc '
        function put(file) { while ((getline line <file) > 0) print line }
        /^static int32_t device_count\(/ { put(device); skipping = 1 }
        /^static const struct bm_plugin plugin = \{/ { put(table); skipping = 1 }
        !skipping
        /^};?$/ { skipping = 0 }
    ' mychip.c | sed 's/memory = calloc/memory = (float *)calloc/; s/made = calloc/made = (bm_session *)calloc/' >../cpp/mychip.cc
    sed 's/\(uint8_t\|float\) \*\([a-z]*\) = work->data->images/\1 *\2 = (const \1 *)work->data->images/' mychip_compute.c \
        >../cpp/mychip_compute.cc
    grep -q '^constexpr bm_plugin plugin' ../cpp/mychip.cc
    grep -q '__builtin_cpu_supports' ../cpp/mychip.cc
    cmake -S ../cpp -B ../cpp/build "-DCMAKE_PREFIX_PATH=$PREFIX" -DCMAKE_BUILD_TYPE=Release
    cmake --build ../cpp/build
    [ "$(nm -D --defined-only ../cpp/build/bm_mychip.so | awk '{ print $3 }')" = bm_plugin_entry ]
    batchmark check ../cpp/build/bm_mychip.so
    cat ../guard.inc - >../cpp/main.cc <<'CPP'
#include <cstdio>
#include <stdexcept>
#include <string>
int main() {
    bm_error error = {};
    bm_kit_pool *pool = nullptr;
    if (bm_kit_pool_create(3, &pool, &error) != BM_STATUS_OK) return 1;
    const auto run = [&](auto task) { return guarded(&error, [&] { in_parallel(pool, task); }); };
    std::atomic<uint32_t> ran{0};
    int32_t all = run([&](uint32_t, uint32_t) { ran++; });
    int32_t thrown = run([](uint32_t thread, uint32_t) { if (thread == 2) throw std::runtime_error("thread 2"); });
    const std::string text = error.text;
    int32_t unknown = run([](uint32_t, uint32_t) { throw 1; });
    int32_t memory = run([](uint32_t thread, uint32_t) { if (thread == 1) throw std::bad_alloc(); });
    bm_kit_pool_destroy(pool);
    std::printf("%d %d %d %d %u %s\n", all, thrown, unknown, memory, ran.load(), text.c_str());
}
CPP
    c++ -std=c++17 -Wall -Wextra -Werror -I"$PREFIX/include" ../cpp/main.cc "$PREFIX/lib/libbatchmark_kit.a" -pthread -o ../cpp/main
    [ "$(../cpp/main)" = "0 -6 -6 -3 3 mychip: thread 2" ]
}
SCRIPT

awk -v folder="$work" '
    /^```/ && !inside {
        inside = 1
        kind = substr($0, 4)
        file = folder "/block-" ++count
        printf "" >file
        tool = kind
        if (kind == "sh test" || sub(/^sh test /, "", tool))
            body = 1
        else
            body = 0
        name = kind
        sub(/^[a-z]+ test /, "", name)
        if (kind == "sh test data") script = script "if ! batchmark data list | grep \"fashion-mnist *not available\"; then\n"
        else if (kind == "sh test") script = script "echo \"block " count "\"\n"
        else if (body) script = script "if command -v " tool "; then\n"
        else if (kind == "cmake test") script = script "try_cmake " file "\n"
        else if (kind == "cmake test cpp") script = script "cp " file " ../cpp.cmake\n"
        else if (kind == "cpp test device") script = script "cp " file " ../device.inc\ntry_cpp\n"
        else if (kind ~ /^cpp test /) script = script "cp " file " ../" name ".inc\n"
        else if (kind ~ /^(ini|text) test /) script = script "cp " file " " name "\n"
        else if (kind == "c test calls") script = script "add_calls " file "\n"
        else if (kind == "c test table") script = script "add_table " file "\n"
        else if (kind != "text") { print "line " NR ": a block of unknown kind: " kind; exit 1 }
        next
    }
    /^```/ {
        inside = 0
        if (body && kind != "sh test") script = script "fi\n"
        next
    }
    inside && body {
        # Its 18 seconds are for a machine that does nothing else.
        sub(/--preset quick/, "& --batch 1 --cell-time 20ms --epoch-time 1ms --time-limit 4m")
        sub(/--config small.ini/, "& --cell-time 20ms --epoch-time 1ms")
        sub(/--batch 1,10,100,1000 --cell-time 4s --epoch-time 1s/,
            "--model custom --layers \"dense 10\" --batch 1 --cell-time 20ms --epoch-time 1ms")
        script = script $0 "\n"
    }
    inside { print >file }
    END { printf "%s", script >>(folder "/script"); exit inside }
' "$guide" >"$work/log" || fail "$(cat "$work/log")"
[ "$(grep -c '^echo "block' "$work/script")" -ge 8 ] || fail "found few blocks"

CMAKE_GENERATOR=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$BM_TEST_BINARY_DIR/CMakeCache.txt")
export CMAKE_GENERATOR
cd "$work/here"
env -u BATCHMARK_PLUGINS -u XDG_STATE_HOME HOME="$work/home" PREFIX="$work/prefix" PATH="$work/prefix/bin:$PATH" \
    bash -euxo pipefail "$work/script" >"$work/log" 2>&1 </dev/null || { tail -n 40 "$work/log" >&2; fail "a block failed"; }

cd mychip
grep -q '^static int32_t write_gradient' mychip.c || fail "the calls were not added"
for file in ~/.local/lib/batchmark package"$work"/prefix/lib/batchmark; do
    file=${file/#$HOME/$work/home}/bm_mychip.so
    [ -e "$file" ] || fail "expected the plugin at $file"
done
python3 -c 'import sys, xml.dom.minidom as xml; sys.exit(not xml.parse("conformance.xml").getElementsByTagName("testcase"))' ||
    fail "no test cases in conformance.xml"

# Each `name` of C, option or file is one of the headers, of the new folder, or of the help.
for command in new check run list; do
    "$work/prefix/bin/batchmark" "$command" --help
done >"$work/help"
"$work/prefix/bin/batchmark" --help >>"$work/help"
# shellcheck disable=SC2016 # Markdown's back quotes
sed '/^```/,/^```/d' "$guide" | grep -oE '`[^` ]+`' | tr -d '`' | sort -u >"$work/names"
[ "$(wc -l <"$work/names")" -ge 40 ] || fail "found few names"
while read -r name; do
    # shellcheck disable=SC2016,SC2088 # as the guide has them
    case $name in
    make | asan | constexpr | exports.map | small.ini | -DNDEBUG | '$PREFIX'* | '~/'* | '$BATCHMARK_PLUGINS' | -ffast-math | _ | - | conformance.xml) ;;
    -DCMAKE_PREFIX_PATH* | batchmark-plugin.pc | batchmark_add_plugin | CMakeLists.txt) ;;
    batchmark/*.h) [ -e "$work/prefix/include/$name" ] || fail "names $name, which is not installed" ;;
    *) grep -rqF -- "${name%\*}" "$work/prefix/include" . "$work/help" || fail "names $name, which is nowhere" ;;
    esac
done <"$work/names"
