#!/usr/bin/env bash
# usage: apply.sh PATCH-PROGRAM MUTANT.patch SCALAR-FOLDER COPY
#
# Makes COPY/backends/scalar with the fault in it. A hunk whose lines are no longer those of the backend is an error, so that
# a mutant is never another one than it says.
set -euo pipefail

rm -rf "$4"
mkdir -p "$4/backends"
cp -R "$3" "$4/backends/scalar"
if ! log=$("$1" --strip=1 --fuzz=0 --batch --no-backup-if-mismatch --directory="$4" --input="$2" 2>&1); then
    printf 'apply.sh: %s no longer applies to the scalar backend:\n%s\n' "${2##*/}" "$log" >&2
    exit 1
fi
touch "$4/applied"
