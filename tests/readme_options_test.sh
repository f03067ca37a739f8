#!/usr/bin/env bash
# A renamed option is noticed in every README: the commands of `batchmark` that it shows, in blocks and in the text, are asked
# once more with --help at their end, which parses what stands before; options of the scripts of ci/ stand in their own help;
# a single option is one that some command or script explains; a plugin's KEY of `--option NAME.KEY` is in its sources.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$BM_TEST_SOURCE_DIR"
mapfile -t readmes < <(find . \( -path './build*' -o -path './.git' \) -prune -o -name README.md -print | sort)
[ ${#readmes[@]} -ge 10 ] || fail "found ${#readmes[@]} README.md"

commands=$("$BM_TEST_PROGRAM" --help | sed -n '/^commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
for command in $commands; do
    "$BM_TEST_PROGRAM" "$command" --help
done >"$work/help"
for script in ci/*; do
    if [ -f "$script" ] && [ -x "$script" ] && [ "$script" != ci/bundle-program.sh ]; then # that one hands all on
        "$script" --help
    fi
done >>"$work/help"

# Lines of sh blocks, with those that go on joined, and of indented ones; and what the text has in `code`, in which a newline
# is a space.
in_blocks() {
    awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 }
        inside { if (sub(/\\$/, "")) printf "%s", $0; else print }
        !inside && sub(/^    /, "") && /^(batchmark|ci\/)/' "$1"
}
in_text() {
    # shellcheck disable=SC2016 # Markdown's back quotes
    awk '/^```/ { inside = !inside; next } !inside' "$1" | tr '\n' ' ' | grep -o '`[^`]*`' | tr -d '`'
}

# ask_program README WORDS...
ask_program() {
    local readme=$1
    shift
    [[ ${1-} != [A-Z]* ]] || return 0 # "batchmark COMMAND"
    [ $# -eq 0 ] || "$BM_TEST_PROGRAM" "$@" --help >"$work/out" 2>&1 || fail "$readme: batchmark $*: $(tail -n 1 "$work/out")"
}

# ask README WORDS...: whether the program or script that the words call takes them. Anything else is left alone.
asked=0
ask() {
    local readme=$1 words=() word
    shift
    for word; do # the first command of a line
        [[ $word != '&&' && $word != '|' && $word != '>'* ]] || break
        words+=("$word")
    done
    while [[ ${words[0]-} == *=* ]]; do # variables of the environment
        words=("${words[@]:1}")
    done
    case ${words[0]-} in
    batchmark | */batchmark) ask_program "$readme" "${words[@]:1}" ;;
    ci/bench) ask_program "$readme" run "${words[@]:1}" ;; # its arguments are those of `run`
    ci/*)
        [ -f "${words[0]}" ] || fail "$readme: ${words[0]}: no such file"
        [ -x "${words[0]}" ] || return 0
        for word in "${words[@]:1}"; do
            [[ $word == --* ]] || continue
            "${words[0]}" --help | grep -qwF -- "$word" || fail "$readme: ${words[0]} does not explain $word"
        done
        ;;
    *) return 0 ;;
    esac
    asked=$((asked + 1))
}

options=0
for readme in "${readmes[@]}"; do
    { in_blocks "$readme"; in_text "$readme"; } >"$work/pieces"
    while IFS= read -r piece; do
        [[ $piece == *batchmark* || $piece == *ci/* ]] || continue
        mapfile -t words < <(xargs printf '%s\n' <<<"$piece" 2>/dev/null) # quotes taken, nothing expanded
        ask "$readme" "${words[@]}"
    done <"$work/pieces"
    # Options by themselves, or after the name of a command alone.
    while IFS= read -r option; do
        grep -qwF -- "$option" "$work/help" || fail "$readme: no command and no script explains $option"
        options=$((options + 1))
    done < <(grep -E "^(${commands//$'\n'/|})? ?--[a-z]" "$work/pieces" |
        grep -oE '(^| )--[a-z][a-z-]*' | tr -d ' ' | sort -u)
    while IFS=. read -r name key; do
        case $name in
        NAME | BACKEND | mychip) continue ;;
        avx2 | avx512) name=cpu ;;
        esac
        folder=$(find backends plugins -type d -name "$name" | head -n 1)
        [ -n "$folder" ] || fail "$readme: --option $name.$key: no folder of that name"
        grep -qrF -- "\"$key\"" "$folder" || fail "$readme: --option $name.$key: no \"$key\" in $folder"
    done < <(grep -oE -- '--option [A-Za-z0-9]+\.[a-z_]+' "$work/pieces" | sed 's/^--option //' | sort -u)
done
[ $asked -ge 40 ] || fail "asked $asked commands: the READMEs show more"
[ $options -ge 40 ] || fail "found $options options: the READMEs show more"
printf '%d commands and %d options in %d READMEs\n' $asked $options ${#readmes[@]}
