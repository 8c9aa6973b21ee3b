#!/usr/bin/env bash
# Installs the Debian packages that tests and grading use, or says how to get them.
#   chromium     opens the built pages in tests
#   bubblewrap   confines student code when grading
set -eu
missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
  || command -v google-chrome >/dev/null || missing+=(chromium)
if [ "$(uname -s)" = Linux ]; then command -v bwrap >/dev/null || missing+=(bubblewrap); fi
[ ${#missing[@]} -eq 0 ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
  printf '==> set-up: system packages: %s\n' "${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "Not installed: ${missing[*]}. Tests that need them are skipped and say so."
  echo "Debian, Ubuntu: sudo apt-get install ${missing[*]}"
fi
