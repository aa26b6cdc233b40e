#!/usr/bin/env bash
# Make .venv from requirements.lock: exact versions, and hashes of everything but torch.
#
# torch comes in whichever build pip offers (CPU or CUDA), with what that build needs on top of
# the lock; versions that the lock names stay as they are. A stamp makes the second call instant.
set -euo pipefail
cd "$(dirname "$0")/.."

torch=2.13.0
venv=.venv
stamp=$venv/.installed
log=.setup.log
inputs=(requirements.lock pyproject.toml setup/install.sh setup/torchvision_cpu.py setup/torchvision_cpu.pth)
state=$(cat "${inputs[@]}" | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then
    exit 0
fi

python=$(command -v python3.11 || command -v python3 || true)
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    echo "setup: Python 3.11 is needed and not found; install python3.11 with its venv module" >&2
    exit 2
fi

step() {
    local message=$1 start=$SECONDS
    shift
    printf 'setup: %-52s' "$message"
    if ! "$@" </dev/null >"$log" 2>&1; then
        printf 'failed\n'
        tail -n 20 "$log" >&2
        exit 3
    fi
    printf '%4d s\n' $((SECONDS - start))
}

pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input)
entry() { awk -v name="$1==" 'index($0, name) == 1 { on = 1 } on { print } on && !/\\$/ { exit }' requirements.lock; }
versions() { sed -n 's/^\([A-Za-z0-9_.-]*==[^ ]*\).*/\1/p' requirements.lock; }

echo "setup: once, a few minutes and about 3 GB (a CUDA build of torch: 8 GB)"
mkdir -p "$venv"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    step "virtual environment" "$python" -m venv --clear "$venv"
entry setuptools >"$venv/setuptools.lock"
versions >"$venv/versions.txt"
# setuptools first: it builds the one dependency without a wheel, and this project.
step "build tool" "${pip[@]}" --require-hashes --no-deps -r "$venv/setuptools.lock"
step "packages of requirements.lock" \
    "${pip[@]}" --require-hashes --no-deps --no-build-isolation --use-pep517 -r requirements.lock
step "torch $torch" "${pip[@]}" "torch==$torch" --constraint "$venv/versions.txt"
step "finer1" "${pip[@]}" --no-deps --no-build-isolation --editable .
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp setup/torchvision_cpu.py setup/torchvision_cpu.pth "$site/"
step "check" "$venv/bin/python" -c 'import torch, torchvision, finer1, tasks, flows'
rm -f "$log"
printf '%s\n' "$state" >"$stamp"
