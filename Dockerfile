# docker build -t finer1 . && docker run --rm -v finer1:/finer1 finer1
# The volume keeps results, caches and history. It hides the code of a newer image, too:
# `docker volume rm finer1` first.
FROM python:3.11.14-slim-bookworm

RUN useradd --create-home --uid 1000 finer1 && mkdir /finer1 && chown finer1 /finer1
USER finer1
WORKDIR /finer1

# Packages first: a change of the code does not install them again.
COPY --chown=finer1 requirements.lock pyproject.toml ./
COPY --chown=finer1 setup setup
RUN mkdir finer1 tasks flows && touch finer1/__init__.py tasks/__init__.py flows/__init__.py \
    && setup/install.sh
COPY --chown=finer1 . .

# There is no git in the image: DVC keeps its lock and cache without it.
RUN .venv/bin/dvc config --local core.no_scm true

ENV PATH=/finer1/.venv/bin:$PATH OMP_WAIT_POLICY=PASSIVE
CMD ["finer1", "run"]
