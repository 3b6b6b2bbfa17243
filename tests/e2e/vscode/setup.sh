#!/usr/bin/env bash
# Installs what the VS Code end-to-end test needs into build/e2e-vscode of the repository:
# code-server (VS Code for the browser) and playwright-core, in the versions package-lock.json
# pins, and from apt, only where missing: Node, Chromium, ripgrep, Kerberos headers, build tools.
# Does nothing when it has already succeeded with the same pins and the same Node.
#
# npm runs no install script here: code-server's own would also fetch files from GitHub.
# The native modules the workbench loads at start are compiled by name instead.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$(cd "$here/../../.." && pwd)/build/e2e-vscode

say() { printf 'e2e-vscode: %s\n' "$*"; }
fail() { printf 'e2e-vscode: %s\n' "$*" >&2; exit 1; }

install_missing_apt_packages() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v chromium >/dev/null || missing+=(chromium)
    command -v rg >/dev/null || missing+=(ripgrep)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    command -v make >/dev/null || missing+=(make)
    command -v g++ >/dev/null || missing+=(g++)
    command -v python3 >/dev/null || missing+=(python3)
    [ -e /usr/include/gssapi/gssapi.h ] || missing+=(libkrb5-dev)
    # Without a monospace font the screenshots have no readable text.
    compgen -G '/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf' >/dev/null || missing+=(fonts-dejavu-core)
    if [ ${#missing[@]} -eq 0 ]; then
        say 'apt packages: all there'
        return
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "missing: ${missing[*]}; neither root nor sudo, install them by hand"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}; no apt-get here, install them by hand"
    say "apt-get install ${missing[*]}"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

check_node() {
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    [ "$major" = 20 ] || fail "code-server 4.100.3 needs Node 20, found $(node --version) at $(command -v node)"
}

# Local headers, where there are some, keep node-gyp from downloading them from nodejs.org.
use_local_node_headers() {
    local prefix
    prefix=$(dirname "$(dirname "$(node -p process.execPath)")")
    if [ -e "$prefix/include/node/node.h" ]; then
        export npm_config_nodedir=$prefix
    fi
}

install_packages() {
    say 'npm ci: code-server, playwright-core'
    cp "$here/package.json" "$here/package-lock.json" "$target/"
    (cd "$target" && npm ci --ignore-scripts)

    local vscode=$target/node_modules/code-server/lib/vscode
    say 'npm install: the dependencies of VS Code and of its extensions'
    (cd "$vscode" && npm install --omit=dev --ignore-scripts)
    (cd "$vscode/extensions" && npm install --omit=dev --ignore-scripts)

    say 'npm rebuild: native modules'
    (cd "$vscode" && npm rebuild @vscode/spdlog native-watchdog kerberos @parcel/watcher)
    (cd "$target" && npm rebuild argon2)

    say "ripgrep: $(command -v rg)"
    mkdir -p "$vscode/node_modules/@vscode/ripgrep/bin"
    ln -sfn "$(command -v rg)" "$vscode/node_modules/@vscode/ripgrep/bin/rg"
    # VS Code and its extensions look for modules under both names.
    ln -sfn node_modules "$vscode/node_modules.asar"
}

install_missing_apt_packages
check_node
use_local_node_headers

stamp=$(node --version; cat "$here/setup.sh" "$here/package-lock.json")
if [ -e "$target/installed" ] && [ "$(cat "$target/installed")" = "$stamp" ]; then
    say "already installed in ${target##*/build/} (under build/)"
    exit 0
fi
rm -rf "$target"
mkdir -p "$target"
install_packages
printf '%s\n' "$stamp" >"$target/installed"
say "code-server $(node "$target/node_modules/code-server/out/node/entry.js" --version | tail -n 1)"
