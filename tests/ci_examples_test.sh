#!/usr/bin/env bash
# The workflows of ci/examples: their YAML is sound, they fetch the whole history and need no secret, each option they name is
# one that the script explains, also in the comments, and what they run leaves what they upload.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "it is about scripts, once is enough"
for tool in git cmake cc c++ python3; do
    command -v $tool >/dev/null || skip "no $tool"
done
python=python3
# The first python3 of a developer's path may be another than the one that the distribution's packages are for.
"$python" -c 'import yaml' 2>/dev/null || python=/usr/bin/python3
"$python" -c 'import yaml' 2>/dev/null || skip "no yaml (Debian: python3-yaml)"
# shellcheck source=tests/support/small_project/repository.sh
. "$BM_TEST_SOURCE_DIR/tests/support/small_project/repository.sh"
cd "$work"
export SMALL_CALLED=$work/called

make_repository one
backend one fast 5
commit one "faster"
one/ci/gate --help >help.txt
for name in github gitlab; do
    example=$BM_TEST_SOURCE_DIR/ci/examples/$name.yml
    "$python" - "$example" >facts.txt <<'PYTHON' || fail "$name.yml: see above"
import sys, yaml
path = sys.argv[1]
with open(path) as file:
    text = file.read()
example = yaml.safe_load(text)
assert "secret" not in text.replace("no secret", "") and "token:" not in text, "expected no secret and no token"
if path.endswith("github.yml"):
    assert example["permissions"] == {"contents": "read"}, example["permissions"]
    assert set(example[True]) == {"pull_request", "push"}, example[True]  # YAML 1.1 reads the key "on" so
    (job,) = example["jobs"].values()
    (checkout,) = [s["with"] for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert checkout["fetch-depth"] == 0, checkout
    (upload,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/upload-artifact@")]
    assert upload["if"] == "always()", upload
    commands = [s["run"] for s in job["steps"] if "run" in s]
    paths = [upload["with"]["path"]]
else:
    job = example["gate"]
    assert job["variables"]["GIT_DEPTH"] == "0", job["variables"]
    assert job["artifacts"]["when"] == "always", job["artifacts"]
    commands = job["script"]
    paths = job["artifacts"]["paths"] + [job["artifacts"]["reports"]["junit"]]
for command in commands:
    print("command", command)
for path in paths:
    print("path", path)
PYTHON
    # Options, whoever they are told to.
    sed 's/apt-get.*//; s/git config.*//' "$example" | grep -oE -- '--[a-z-]+' | sort -u >options.txt
    grep -qx -- --threshold options.txt || fail "$name.yml: found no option"
    while read -r option; do
        grep -qE "^ *$option( |$)" help.txt || fail "$name.yml: ci/gate does not explain $option"
    done <options.txt
    # What it runs here, but for the packages.
    rm -rf one/build called
    grep '^command ci/' facts.txt | sed 's/^command //' >commands.txt
    [ "$(wc -l <commands.txt)" -eq 1 ] || fail "$name.yml: expected one command of ci/, found $(cat commands.txt)"
    read -r -a words <commands.txt
    (cd one && "${words[@]}" --no-install) >out 2>&1 || fail "$name.yml: ${words[*]}: status $?: $(cat out)"
    grep -qxF compare called || fail "$name.yml: it compared nothing: $(cat out)"
    while read -r _ path; do
        [ -e "one/$path" ] || fail "$name.yml: it uploads $path, which its command does not make"
    done < <(grep '^path ' facts.txt)
done
