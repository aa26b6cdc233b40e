# One image for every service of compose.yaml, and for runs without them. Two targets:
#
#     docker build --target cpu -t finer1:cpu .
#     docker build --target cuda -t finer1:cuda .
#
# What pip needs to know (an index, a proxy's password) goes in as a secret, which no layer keeps:
# `--secret id=pip,src=pip.conf`. docs/containers.md says how to run it.

# By tag. Who deploys it writes the digest behind it, as `docker buildx imagetools inspect` tells.
FROM python:3.11.17-slim-bookworm AS base

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
# The code and its packages are root's; the user writes to the two volumes alone.
RUN useradd --no-create-home --home-dir /cache --uid 1000 finer1 \
    && mkdir -p /opt/finer1 /finer1 /cache \
    && chown finer1 /finer1 /cache
WORKDIR /opt/finer1

# Packages first: a change of the code does not install them again.
FROM base AS packages
COPY requirements.lock pyproject.toml ./
COPY setup setup
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    mkdir finer1 tasks flows && touch finer1/__init__.py tasks/__init__.py flows/__init__.py \
    && setup/install.sh \
    && .venv/bin/python -m pip install --require-hashes --no-deps -r setup/container/services.txt

FROM packages AS code
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY . .
# There is no git in the image: DVC keeps its lock and cache without it.
RUN .venv/bin/dvc config --local core.no_scm true \
    && find . -path ./.venv -prune -o -type f -print0 | sort -z | xargs -0 sha256sum \
    | sha256sum | cut -d' ' -f1 >.image

# What both targets are when they run.
FROM code AS cpu
ENV PATH=/opt/finer1/.venv/bin:$PATH HOME=/cache HF_HOME=/cache/huggingface \
    XDG_CACHE_HOME=/cache DVC_SITE_CACHE_DIR=/cache/dvc PREFECT_HOME=/cache/prefect \
    FINER1_STORE=/cache/generations OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1
USER 1000
WORKDIR /finer1
VOLUME ["/finer1", "/cache"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "test -w /finer1 && test -w /cache && test -r /finer1/dvc.yaml"]
ENTRYPOINT ["/opt/finer1/setup/container/start.sh"]
CMD ["finer1", "run"]

# The same packages: the CUDA build of torch brings CUDA with it, the host its driver.
FROM cpu AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
