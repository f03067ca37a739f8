#!/usr/bin/env bash
# The packages of this build: what is in which, nothing that tells where they were built, the same bytes whoever packs them.
# The archive runs where it is unpacked. The Debian packages are installed into an empty tree that has nothing but the
# packages which they depend on, copied from this machine, and are used there; slow_package_test.sh does that with a whole
# Debian. Of the Debian packages only batchmark-dev is packed twice here: slow_reproducible_test.sh compares them all.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cached() {
    sed -n "s/^$1:[A-Z]*=//p" "$BM_TEST_BINARY_DIR/CMakeCache.txt"
}

[ -z "${BM_TEST_SANITIZE-}" ] || skip "packages with sanitizers are for nobody"
[ "$(cached CMAKE_BUILD_TYPE)" = Release ] || skip "packages are made of a release, this is $(cached CMAKE_BUILD_TYPE)"
for tool in cpack tar gzip readelf; do
    command -v $tool >/dev/null || skip "no $tool"
done
cd "$work"
version=$(cached CMAKE_PROJECT_VERSION)
archive=batchmark-$version-linux-$(uname -m)
generators=TGZ
debian=no
if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null && command -v file >/dev/null; then
    generators='DEB;TGZ'
    debian=yes
fi
rivals=
while read -r list; do
    name=$(basename "$(dirname "$list")")
    [ ! -e "$BM_TEST_PLUGIN_DIR/bm_$name.so" ] || rivals+=" bm_$name.so"
done < <(grep -l 'BM_RIVAL ON' "$BM_TEST_SOURCE_DIR"/backends/*/CMakeLists.txt)
[ -n "$rivals" ] || fail "expected a rival in $BM_TEST_PLUGIN_DIR, found none"

# make_packages FOLDER GENERATORS [OPTION...]: at a date that is given.
make_packages() {
    SOURCE_DATE_EPOCH=1700000000 cpack -G "$2" "${@:3}" --config "$BM_TEST_BINARY_DIR/CPackConfig.cmake" -B "$work/$1" \
        >log.txt 2>&1 || fail "cpack: $(tail -n 20 log.txt)"
    rm -r "$work/$1/_CPack_Packages"
}

# ---- The same bytes ----

make_packages packages "$generators"
(
    umask 077
    export TZ=Asia/Tokyo LC_ALL=C.UTF-8
    make_packages "packed elsewhere" TGZ
    [ $debian = no ] || make_packages "packed elsewhere" DEB -D CPACK_COMPONENTS_ALL=development
)
(cd packages && find . -type f | sort) >names.txt
(cd "packed elsewhere" && find . -type f | sort) >again.txt
[ -s again.txt ] || fail "cpack made nothing"
while read -r name; do
    cmp -s "packages/$name" "packed elsewhere/$name" || fail "packed twice, $name has other bytes"
done <again.txt

# ---- What is where ----

# Of a folder of unpacked files: none names the folders of the sources and the build, and libraries are found from where the
# file lies or by the system.
check_files() {
    local file
    if grep -rlF -e "$BM_TEST_SOURCE_DIR" -e "$BM_TEST_BINARY_DIR" "$1"; then
        fail "$1: files name the folders that they were built in"
    fi
    grep -rlF $'\x7fELF' "$1" >objects.txt || true # there may be none
    while read -r file; do
        readelf -d "$file" >dynamic.txt
        if grep -E 'RPATH|RUNPATH' dynamic.txt | grep -vE '\[[$]ORIGIN/[^:]*\]$'; then
            fail "$file: expected only \$ORIGIN in its run path"
        fi
    done <objects.txt
}

mkdir "a folder"
tar -xzf "packages/$archive.tar.gz" -C "a folder"
[ "$(ls "a folder")" = "$archive" ] || fail "expected one folder $archive in the archive, found $(ls "a folder")"
top=$work/"a folder"/$archive
check_files "$top"
TZ=UTC tar -tvzf "packages/$archive.tar.gz" >listing.txt
[ "$(awk '{ print $2, $4, $5 }' listing.txt | sort -u)" = "0/0 2023-11-14 22:13" ] ||
    fail "expected one owner and the date that was asked for in the archive, found $(head -n 2 listing.txt)"
for file in bin/batchmark lib/batchmark/bm_null.so include/batchmark/plugin.h share/batchmark/presets/run/quick.ini \
    share/man/man1/batchmark.1 share/doc/batchmark/LICENSE; do
    [ -s "$top/$file" ] || fail "$archive lacks $file"
done
for plugin in $rivals; do
    [ -s "$top/lib/batchmark/$plugin" ] || fail "$archive lacks $plugin"
done

# ---- The archive runs where it is ----

clean=(env -i "PATH=/usr/local/bin:/usr/bin:/bin" "HOME=$work/home")
mkdir home
"${clean[@]}" "$top/bin/batchmark" list >list.txt 2>err.txt || fail "list: $(cat err.txt)"
grep -qF "$top/bin/../share/batchmark/presets" list.txt || fail "list does not show the archive's presets: $(cat list.txt)"
"${clean[@]}" "$top/bin/batchmark" run --preset quick --model custom --layers "dense 10" --backend scalar,null --batch 1 \
    --threads 1 --cell-time 20ms --time-limit 20m --hang-time 5m --epoch-time 1ms --roofline none --dataset synthetic \
    -o run.jsonl >run.txt 2>err.txt || fail "run: $(cat err.txt)"
[ "$(grep -c '"status":"ok"' run.jsonl)" -eq 2 ] || fail "run: $(cat run.txt)"
[ $debian = yes ] || skip "the archive is well; no dpkg-deb, dpkg-shlibdeps or file for the Debian packages"

# ---- Debian's packages ----

architecture=$(dpkg --print-architecture)
for package in batchmark batchmark-dev batchmark-rivals; do
    file=packages/${package}_$version-1_$architecture.deb
    [ -e "$file" ] || fail "expected $file, found $(ls packages)"
    mkdir -p files
    dpkg-deb --extract "$file" "files/$package"
    dpkg-deb --control "$file" "files/$package.control"
    check_files "files/$package"
    check_files "files/$package.control"
    for name in copyright changelog.Debian.gz; do
        [ -s "files/$package/usr/share/doc/$package/$name" ] || fail "$package lacks its $name"
    done
    found=$(find "files/$package.control" -type f -printf '%f\n' | sort | xargs)
    [ "$found" = "control md5sums" ] || fail "$package: expected no scripts, found $found"
    (cd "files/$package" && find . -mindepth 1 -not -type d) >>all.txt
    [ -z "$(find "files/$package" -perm /022)" ] || fail "$package: more than the owner may write"
done
[ "$(grep -c 'deb$' names.txt)" -eq 3 ] || fail "expected three packages, found $(cat names.txt)"
[ -z "$(sort all.txt | uniq -d)" ] || fail "in more than one package: $(sort all.txt | uniq -d)"
found=$(cd files/batchmark-rivals/usr && find . -path ./share -prune -o -type f -printf ' %f\n' | sort | tr -d '\n')
[ "$found" = "$rivals" ] || fail "batchmark-rivals: expected$rivals, found$found"
for plugin in $rivals; do
    [ ! -e "files/batchmark/usr/lib/batchmark/$plugin" ] || fail "batchmark has a rival: $plugin"
done
for plugin in "$BM_TEST_PLUGIN_DIR"/bm_*.so; do
    plugin=${plugin##*/}
    [[ "$rivals " == *" $plugin "* ]] || [ -s "files/batchmark/usr/lib/batchmark/$plugin" ] || fail "batchmark lacks $plugin"
done
[ ! -e files/batchmark/usr/include ] || fail "batchmark has what is for authors of plugins"
[ ! -e files/batchmark/usr/share/batchmark/report/chart.min.js ] || fail "batchmark has a copy of Debian's Chart.js"
for package in batchmark-dev batchmark-rivals; do
    [[ $(dpkg-deb -f packages/"$package"_*.deb Depends) == *"batchmark (= $version-1)"* ]] ||
        fail "$package: expected the batchmark of its version, found $(dpkg-deb -f packages/"$package"_*.deb Depends)"
done
# What is opened at run time is named, so that it is at hand.
dpkg-deb -f packages/batchmark_*.deb Recommends Suggests >named.txt
opened=$(grep -rhoE 'so\.[0-9]+", "[a-z0-9]+"' "$BM_TEST_SOURCE_DIR/harness" --include='*.c' | sed 's/.*", "//; s/"$//')
[ -n "$opened" ] || fail "expected bm_library_open in harness/, found none"
for package in $opened libvulkan1; do
    grep -qwF "$package" named.txt || fail "batchmark opens what $package has, which it neither recommends nor suggests"
done

if command -v lintian >/dev/null; then
    as_who=()
    [ "$(id -u)" -ne 0 ] || as_who=(--allow-root)
    lintian "${as_who[@]}" --fail-on error,warning packages/*.deb >lintian.txt 2>&1 || fail "lintian: $(cat lintian.txt)"
    echo "package_test: lintian: clean"
else
    echo "package_test: lintian: not here, not asked"
fi

# ---- Installed into a tree of their own ----

enter=(unshare --mount --pid --fork)
[ "$(id -u)" -eq 0 ] || enter+=(--map-root-user)
"${enter[@]}" true 2>/dev/null || skip "all but the installation is well; this user may not have a tree of its own (unshare)"

# What each package that is here depends on.
declare -A needs
while IFS=$'\t' read -r status package line; do
    [ "$status" != installed ] || needs[$package]=$line
done < <(dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Pre-Depends}, ${Depends}\n')

is_here() {
    [ -n "${needs[$1]-}" ]
}

# Names of what these packages depend on, directly or not, of each choice the one that is here.
dependencies() {
    local known=" " queue=("$@") package group groups choice choices name
    while [ ${#queue[@]} -gt 0 ]; do
        package=${queue[0]}
        queue=("${queue[@]:1}")
        [[ $known != *" $package "* ]] || continue
        known+="$package "
        echo "$package"
        IFS=, read -r -a groups <<<"${needs[$package]}"
        for group in "${groups[@]}"; do
            IFS='|' read -r -a choices <<<"$group"
            for choice in "${choices[@]}"; do
                read -r name _ <<<"${choice//[(:]/ }"
                if [ -n "$name" ] && is_here "$name"; then
                    queue+=("$name")
                    break
                fi
            done
        done
    done
}

mapfile -t direct < <(dpkg-deb -f packages/batchmark_*.deb Depends | tr ',' '\n' | sed 's/^ *//; s/[ (:].*//')
for package in "${direct[@]}"; do
    is_here "$package" || skip "all but the installation is well; $package is not installed here"
done
dependencies "${direct[@]}" coreutils >needed.txt # coreutils: env
tree=$work/tree
mkdir -p "$tree"/usr/{bin,sbin,lib,lib64} "$tree"/{proc,tmp,dev} "$tree"/var/lib/dpkg/{info,updates,triggers}
for name in bin sbin lib lib64; do
    ln -s usr/$name "$tree/$name"
done
xargs dpkg-query -s <needed.txt >"$tree/var/lib/dpkg/status"
xargs dpkg-query -L <needed.txt | sort -u | while read -r file; do
    if [ -f "$file" ] || [ -L "$file" ]; then echo "${file#/}"; fi
done | grep -E '^(usr/)?(s?bin|lib|lib64)/|^usr/share/(javascript|nodejs)/' >copied.txt
tar -C / -cf - --no-recursion -T copied.txt 2>/dev/null | tar -C "$tree" -xf - --keep-directory-symlink --no-same-owner
touch "$tree/dev/null" # a file: a normal user makes no device

in_tree() {
    PATH=$PATH:/usr/sbin:/sbin "${enter[@]}" --mount-proc="$tree/proc" "$@"
}

dpkg_in_tree=(dpkg --force-not-root --force-unsafe-io --log=/dev/null "--root=$tree")
if in_tree "${dpkg_in_tree[@]}" --install packages/batchmark_*.deb packages/batchmark-dev_*.deb >dpkg.txt 2>&1; then
    fail "batchmark-dev was installed without libc6-dev"
fi
grep -q 'libc6-dev' dpkg.txt || fail "dpkg: $(cat dpkg.txt)"
in_tree "${dpkg_in_tree[@]}" --purge batchmark-dev >dpkg.txt 2>&1 || fail "dpkg: $(cat dpkg.txt)"
cat >remove <<'EOF'
#!/bin/sh
exec dpkg --force-not-root --force-unsafe-io --log=/dev/null "--root=$1" --purge batchmark
EOF
chmod +x remove
in_tree bash "$BM_TEST_SOURCE_DIR/tests/support/package_use.sh" "$tree" "$work/remove"
echo "package_test: installed and used in a tree of $(wc -l <needed.txt) packages of this machine, by dpkg --root"
