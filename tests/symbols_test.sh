#!/usr/bin/env bash
# What plugin.h asks of a plugin's file, of every plugin that this build has made: one exported symbol, never unloaded,
# bound at once, nothing undefined, and no start-up code of -ffast-math, which would change the rounding of the whole
# process. The checks are tried first on files that break each of the rules.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

# Prints the rules that the file breaks; its own status is 0.
complaints() {
    local file=$1 exported flags symbols
    exported=$(nm -D --defined-only "$file" | awk '{ print $3 }')
    [ "$exported" = bm_plugin_entry ] || echo "exports ${exported//$'\n'/ } instead of bm_plugin_entry alone"
    flags=$(readelf -d "$file" | grep -E '\((FLAGS|FLAGS_1)\)' || true) # none is a complaint below
    [[ $flags == *NODELETE* ]] || echo "can be unloaded: link it with -z nodelete"
    [[ $flags == *NOW* ]] || echo "is bound lazily: link it with -z now"
    ldd -r "$file" 2>&1 | sed -n 's/^undefined symbol: *\([^[:space:]]*\).*/leaves \1 undefined: link it with -z defs/p'
    symbols=$(nm "$file" 2>/dev/null || true) # so is none of these
    [[ $symbols == *" bm_plugin_entry"* ]] || echo "is stripped: its start-up code cannot be looked for"
    [[ $symbols != *" set_fast_math"* ]] || echo "is linked with -ffast-math"
}

[ -z "${BM_TEST_SANITIZE-}" ] || skip "sanitizers add symbols of their own"

cat >"$work/entry.c" <<'CODE'
__attribute__((visibility("default"))) const void *bm_plugin_entry(void);
void elsewhere(void);
const void *bm_plugin_entry(void) {
#ifdef UNDEFINED
    elsewhere();
#endif
    return 0;
}
#ifdef SECOND
__attribute__((visibility("default"))) int second = 1;
#endif
CODE

# expect COMPLAINT GCC-ARGUMENTS...: the file made with them breaks that rule; "" means none.
expect() {
    local expected=$1 found
    shift
    gcc -shared -fPIC -fvisibility=hidden "$work/entry.c" -o "$work/bm_entry.so" "$@"
    found=$(complaints "$work/bm_entry.so")
    if [ -z "$expected" ]; then
        [ -z "$found" ] || fail "a good file: $found"
    else
        [[ $found == *"$expected"* ]] || fail "made with $*: expected \"$expected\", found \"$found\""
    fi
}

good=("-Wl,-z,now" "-Wl,-z,nodelete")
expect "" "${good[@]}" -Wl,-z,defs
expect "second" "${good[@]}" -DSECOND
expect "leaves elsewhere undefined" "${good[@]}" -DUNDEFINED
expect "can be unloaded" -Wl,-z,now
expect "bound lazily" -Wl,-z,lazy -Wl,-z,nodelete
expect "stripped" "${good[@]}" -s
expect "-ffast-math" "${good[@]}" -ffast-math

count=0
bad=0
for plugin in "$BM_TEST_PLUGIN_DIR"/bm_*.so; do
    [ -e "$plugin" ] || fail "no plugin in $BM_TEST_PLUGIN_DIR"
    count=$((count + 1))
    found=$(complaints "$plugin")
    if [ -n "$found" ]; then
        printf '%s: %s\n' "${plugin##*/}" "$found" >&2
        bad=$((bad + 1))
    fi
done
[ $bad -eq 0 ] || fail "$bad of $count plugins break a rule"
echo "$count plugins checked"
