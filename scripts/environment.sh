# Sourced by scripts/demo and scripts/test: a virtual environment in .venv, sheetgpt in it, LibreOffice on the machine.
# Takes the extra to install as its argument. SHEETGPT_VENV names another folder for the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PYTHONDONTWRITEBYTECODE=  # where it is set, each of some thousand processes would compile the package anew
venv=${SHEETGPT_VENV:-.venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".${1:-}"

if ! command -v soffice >/dev/null; then
    echo "Installing LibreOffice" >&2
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    if ! command -v apt-get >/dev/null; then
        echo "LibreOffice is missing; install it from libreoffice.org and run this again." >&2
        exit 2
    fi
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
        libreoffice-calc python3-uno >/dev/null
fi
