#!/usr/bin/env bash
# The conformance suite is tested on backends with one fault each (plugins/mutants/): the case that a mutant's patch names fails
# on the mutant and passes on the scalar backend, which it was made of. Prints a table of who was caught by what. The short form
# leaves out the scalar backend where conformance.scalar has that case each time, and in the longest cases of precision.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -d "$BM_TEST_BINARY_DIR/tests/mutants" ] || skip "no mutants in this build"

# The cases of mutants that conformance.scalar has each time.
ELSEWHERE=
while read -r case; do
    # shellcheck disable=SC2053 # a pattern
    [[ $case != $BM_TEST_QUICK ]] || ELSEWHERE+="$case "
done < <(sed -n 's/^# caught by: //p' "$BM_TEST_SOURCE_DIR"/tests/plugins/mutants/*.patch | sort -u)
[ -n "$ELSEWHERE" ] || fail "no mutant is caught by a case that matches $BM_TEST_QUICK"
export ELSEWHERE

python3 - "$@" <<'PYTHON'
import concurrent.futures, glob, json, os, platform, re, subprocess, sys, time

program = os.environ["BM_TEST_PROGRAM"]
folder = os.path.join(os.environ["BM_TEST_BINARY_DIR"], "tests/mutants")
patches = os.path.join(os.environ["BM_TEST_SOURCE_DIR"], "tests/plugins/mutants/*.patch")
scalar = os.path.join(os.environ["BM_TEST_PLUGIN_DIR"], "bm_scalar.so")
AT_LEAST = 30
AT_ONCE = 2
ELSEWHERE = os.environ["ELSEWHERE"].split()
LONGEST = r"precision\.(accumulate|convolution|multiply-forward|multiply-weight-gradient)"


def head_of(patch):
    """The `key: value` lines of its comment."""
    with open(patch) as text:
        lines = [line[2:].strip() for line in text if line.startswith("# ")]
    return dict(re.fullmatch(r"([a-z ]+): (.*)", line).groups() for line in lines[1:])


def check(file, case):
    """One case on one plugin: exit code, status, reason, seconds."""
    started = time.monotonic()
    words = [program, "check", file, "--filter", case, "--strict", "--hang-time", "5m", "--format", "jsonl"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    found = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("kind") == "case"]
    status, reason = (found[0]["status"], found[0]["reason"]) if len(found) == 1 else ("none", done.stderr.strip())
    return done.returncode, status, reason, time.monotonic() - started


mutants = {os.path.basename(patch)[:-len(".patch")]: head_of(patch) for patch in sorted(glob.glob(patches))}
mutants = {name: head for name, head in mutants.items() if head.get("processor", platform.machine()) == platform.machine()}
if sys.argv[1:]:
    mutants = {name: mutants[name] for name in sys.argv[1:]}
elif len(mutants) < AT_LEAST:
    sys.exit(f"mutants_test: expected at least {AT_LEAST} mutants, found {len(mutants)}")
cases = sorted({head["caught by"] for head in mutants.values()})
if not os.environ.get("BM_TEST_WHOLE"):
    cases = [case for case in cases if case not in ELSEWHERE and not re.fullmatch(LONGEST, case)]
wrong = []
with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
    healthy = {case: pool.submit(check, scalar, case) for case in cases}
    faulty = {name: pool.submit(check, os.path.join(folder, name, "bm_scalar.so"), head["caught by"])
              for name, head in mutants.items()}
    for case in cases:
        code, status, reason, seconds = healthy[case].result()
        if (code, status) != (0, "pass"):
            wrong.append(f"{case} on the scalar backend: expected pass (exit code 0), found {status} ({code}): {reason}")
    print(f"{'mutant':32} {'caught by':36} {'seconds':>7}")
    for name, head in mutants.items():
        code, status, reason, seconds = faulty[name].result()
        expected = (int(head.get("exit", 3)), ("crashed", "timeout") if head.get("exit") == "7" else ("fail",))
        caught = code == expected[0] and status in expected[1]
        print(f"{name:32} {head['caught by'] if caught else 'NOT CAUGHT':36} {seconds:7.2f}")
        if not caught:
            wrong.append(f"{name}: expected {head['caught by']} to end with {expected[1]} (exit code {expected[0]}), "
                         f"found {status} ({code}): {reason}")
for text in wrong:
    print("mutants_test: " + text, file=sys.stderr)
sys.exit(1 if wrong else 0)
PYTHON
