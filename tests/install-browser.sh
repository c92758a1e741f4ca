#!/usr/bin/env bash
# Installe ce que les tests dans un navigateur demandent : Chromium, et html-validate si npm est là.
# Debian et Ubuntu ; sans effet quand tout est déjà en place.
set -euo pipefail
cd "$(dirname "$0")"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi

if ! command -v npm >/dev/null; then
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm
fi
if [ ! -x html-validate/node_modules/.bin/html-validate ]; then
  (cd html-validate && npm ci --no-audit --no-fund --loglevel=error)
fi
echo "Navigateur et html-validate en place."
