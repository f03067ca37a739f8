#!/usr/bin/env bash
# The page of `batchmark report` in a real browser: headless Chromium, driven through WebDriver. The checks are
# tests/report_page/*_checks.py, each a concern of its own. Where BM_TEST_WHOLE is not set, a page that is loaded in windows of
# three sizes is left out, for one in a window that changes; the landscape on paper; most strange names of a choice; and a page of
# 5000 cells has 1500.
#
# The pictures of the README and of results/ are made by it too, from the records below results/:
#
#   BM_TEST_SCREENSHOTS=$PWD/results/pictures ctest --test-dir build -R report_page
#
# It needs Chromium, its driver and Selenium for Python, which ci/packages browser installs, and is skipped without them.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

python=
for candidate in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$candidate" -c 'import selenium' 2>/dev/null; then
        python=$candidate
    fi
done
[ -n "$python" ] || skip "no Selenium for Python (ci/packages browser installs it)"
command -v chromium >/dev/null || skip "no Chromium (ci/packages browser installs it)"
command -v chromedriver >/dev/null || skip "no driver of Chromium (ci/packages browser installs it)"
[ -z "${BM_TEST_SANITIZE-}" ] || skip "the page is the same without sanitizers"

export BM_TEST_WORK=$work
cd "$BM_TEST_SOURCE_DIR/tests/report_page"
if [ -n "${BM_TEST_SCREENSHOTS-}" ]; then
    PYTHONDONTWRITEBYTECODE=1 "$python" pictures.py "$BM_TEST_SCREENSHOTS"
fi
PYTHONDONTWRITEBYTECODE=1 "$python" -m unittest discover --pattern '*_checks.py' "$@"
