#!/usr/bin/env bash
# Entry point of the image: start.sh mlflow-server | prefect-server | buckets | worker | COMMAND...
#
# Passwords come from files, one each, and go into the environment of the one program that needs
# them: no command line, image layer or compose file holds one. Everything that varies has a
# variable here, so that the same entry points run without containers, too.
set -euo pipefail

image=${FINER1_IMAGE_DIR:-/opt/finer1}
secrets=${FINER1_SECRETS_DIR:-/run/secrets}
listen=${FINER1_LISTEN:-127.0.0.1}
database=${FINER1_DATABASE:-postgres:5432}
store=${FINER1_S3:-http://store:9000}

export DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false

die() {
    echo "start: $1" >&2
    exit 2
}

# In an address a password with other characters would be read as something else.
secret() {
    local file=$secrets/$1 value
    [ -r "$file" ] || die "the secret $1 is missing or may not be read: $file"
    value=$(<"$file")
    [[ $value =~ ^[A-Za-z0-9_-]{16,}$ ]] ||
        die "the secret $1 must have 16 or more letters, digits, _ or -"
    printf '%s' "$value"
}

s3_keys() {
    AWS_ACCESS_KEY_ID=$(secret store_user)
    AWS_SECRET_ACCESS_KEY=$(secret store_password)
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    export MLFLOW_S3_ENDPOINT_URL=$store AWS_ENDPOINT_URL_S3=$store AWS_REGION=us-east-1
}

# Under another name until it is whole: a kill must not leave half a folder for good.
bring() {
    local part
    part=$(dirname "$1")/.$(basename "$1").part
    if [ -e "$1" ]; then return; fi
    rm -rf "$part"
    cp -r "$image/$1" "$part"
    mv "$part" "$1"
}

# The workspace is a volume: new code is brought into it, what a user made there stays.
fill_workspace() {
    local name file
    if [ "$PWD" = "$image" ] || [ ! -r "$image/.image" ]; then return; fi
    if [ -e .image ] && cmp -s .image "$image/.image"; then return; fi
    for name in finer1 tasks flows setup dvc.yaml prefect.yaml automations.yaml pyproject.toml \
        .dvcignore requirements.lock; do
        rm -rf "./$name"
        cp -r "$image/$name" .
    done
    for name in params.yaml .dvc data models; do
        bring "$name"
    done
    for file in "$image"/data/*; do  # inputs of the stages, of which a newer image may have more
        if [ -e "$file" ]; then bring "data/${file##*/}"; fi
    done
    cp "$image/.image" .image
}

case ${1:-} in
mlflow-server)
    password=$(secret mlflow_password)
    export MLFLOW_BACKEND_STORE_URI="postgresql+psycopg2://mlflow:$password@$database/mlflow"
    # Clients send artifacts through the server: they need no key of the store.
    export MLFLOW_ARTIFACTS_DESTINATION=${FINER1_ARTIFACTS:-s3://mlflow}
    export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false
    # Its jobs are for evaluations that are asked for in its UI; they keep seven processes busy.
    export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
    if [[ $MLFLOW_ARTIFACTS_DESTINATION == s3://* ]]; then s3_keys; fi
    unset password
    # One: of several, uvicorn ends those that a busy machine keeps from answering for 5 s.
    exec python -m mlflow server --host "$listen" --port "${FINER1_PORT:-5000}" --workers 1 \
        --serve-artifacts --allowed-hosts "${FINER1_HOSTS:-mlflow:*,localhost:*,127.0.0.1:*}"
    ;;
prefect-server)
    password=$(secret prefect_password)
    export PREFECT_SERVER_DATABASE_CONNECTION_URL="postgresql+asyncpg://prefect:$password@$database/prefect"
    unset password
    PREFECT_SERVER_API_AUTH_STRING=finer1:$(secret prefect_login)
    export PREFECT_SERVER_API_AUTH_STRING PREFECT_API_AUTH_STRING=$PREFECT_SERVER_API_AUTH_STRING
    export PREFECT_SERVER_CSRF_PROTECTION_ENABLED=true
    port=${FINER1_PORT:-4200}
    export PREFECT_SERVER_CORS_ALLOWED_ORIGINS=http://127.0.0.1:$port,http://localhost:$port
    # What a browser on this machine calls it; 0.0.0.0 is no address to call.
    export PREFECT_SERVER_UI_API_URL=http://127.0.0.1:$port/api
    exec python -m prefect server start --host "$listen" --port "$port"
    ;;
buckets)
    s3_keys
    exec python "$image/setup/container/buckets.py" "$store" mlflow dvc
    ;;
worker)
    fill_workspace
    PREFECT_API_AUTH_STRING=finer1:$(secret prefect_login)
    export PREFECT_API_AUTH_STRING
    s3_keys
    exec python -m flows.deploy
    ;;
"") die "nothing to start; see the first lines of $0" ;;
*)
    fill_workspace
    exec "$@"
    ;;
esac
