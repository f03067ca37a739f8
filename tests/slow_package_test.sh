#!/usr/bin/env bash
# The Debian packages of this build in a Debian 12 that has nothing but the minimum: apt installs them with what they depend
# on, they are used there, and dpkg removes them without a trace. The tree is made from the sources that this machine's apt
# has; package_test.sh looks at the packages themselves and needs no network.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cached() {
    sed -n "s/^$1:[A-Z]*=//p" "$BM_TEST_BINARY_DIR/CMakeCache.txt"
}

[ -z "${BM_TEST_SANITIZE-}" ] || skip "packages with sanitizers are for nobody"
[ "$(cached CMAKE_BUILD_TYPE)" = Release ] || skip "packages are made of a release, this is $(cached CMAKE_BUILD_TYPE)"
for tool in cpack dpkg-deb dpkg-shlibdeps file mmdebstrap apt-get; do
    command -v $tool >/dev/null || skip "no $tool"
done
[ "$(id -u)" -eq 0 ] || grep -q "^$(id -un):" /etc/subuid 2>/dev/null || skip "neither root nor in /etc/subuid"
chmod 755 "$work"
cd "$work"

# What apt has of Debian 12, and how it gets there.
# shellcheck disable=SC2016 # apt fills them in
apt-get indextargets --format '$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/^Debian bookworm[^ ]* //p' | sort -u >sources.list
grep -q . sources.list || skip "apt has no source of Debian 12 here"
apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-)' >apt.conf || true

cpack -G DEB --config "$BM_TEST_BINARY_DIR/CPackConfig.cmake" -B "$work/packages" >log.txt 2>&1 ||
    fail "cpack: $(tail -n 20 log.txt)"
rm -r packages/_CPack_Packages

cat >use <<'EOF'
#!/usr/bin/env bash
# use TREE: what happens in the tree, while it is there; mmdebstrap calls it.
set -euo pipefail
cd "$(dirname "$0")"
tree=$1
cp packages/*.deb "$tree/tmp/"
install_package() {
    chroot "$tree" sh -c "apt-get install -y -q --no-install-recommends /tmp/$1_*.deb" || exit 99
}
install_package batchmark
[ ! -e "$tree/usr/include/batchmark" ]
bash "$BM_TEST_SOURCE_DIR/tests/support/package_use.sh" "$tree"
echo "used: batchmark"
install_package batchmark-dev
install_package batchmark-rivals
for plugin in "$tree"/usr/lib/batchmark/bm_*.so; do
    chroot "$tree" batchmark list --plugin "/usr/lib/batchmark/${plugin##*/}" >listed
    ! grep -E 'not found|refused|undefined' listed
done
for plugin in onednn torch; do # blas has no library here, and says so
    [ ! -e "$tree/usr/lib/batchmark/bm_$plugin.so" ] || chroot "$tree" batchmark list | grep "^ *$plugin:0"
done
chroot "$tree" batchmark list | grep -q 'no CBLAS library'
chroot "$tree" batchmark new mychip /tmp/mychip
[ -s "$tree/tmp/mychip/mychip.c" ]
rm -r "$tree/tmp/mychip"
echo "used: batchmark-dev, batchmark-rivals"
rm "$tree"/tmp/*.deb
bash "$BM_TEST_SOURCE_DIR/tests/support/package_use.sh" "$tree" "$PWD/remove"
echo "used: all, and removed"
EOF
cat >remove <<'EOF'
#!/bin/sh
chroot "$1" dpkg --purge batchmark-rivals batchmark-dev batchmark
rm -f "$1/var/log/apt/term.log" "$1/var/log/apt/history.log"
EOF
chmod 755 use remove
# A file of apt is not looked at as the user that apt becomes.
chmod -R a+rX packages
status=0
mmdebstrap --variant=minbase --aptopt="$work/apt.conf" --customize-hook="$work/use" bookworm /dev/null "$work/sources.list" \
    >log.txt 2>&1 || status=$?
if [ $status -ne 0 ] && ! grep -q '^used: ' log.txt &&
    grep -qE 'Could not (resolve|connect)|Failed to fetch|Temporary failure|Unable to connect' log.txt; then
    skip "Debian's archive is not reachable: $(grep -E 'Could not|Failed|Temporary|Unable' log.txt | head -n 1)"
fi
[ $status -eq 0 ] || fail "in the tree: $(tail -n 30 log.txt)"
[ "$(grep -c '^used: ' log.txt)" -eq 3 ] || fail "expected three uses, found $(grep '^used: ' log.txt)"
echo "slow_package_test: installed by apt into a Debian 12 of mmdebstrap, used and removed there"
