#!/bin/bash
# Run once by the database's image, when its volume is new: a user and a database for each service.
set -euo pipefail

for name in mlflow prefect; do
    password=$(<"${FINER1_SECRETS_DIR:-/run/secrets}/${name}_password")
    # By standard input: a command line can be read by others.
    psql --username "$POSTGRES_USER" --set ON_ERROR_STOP=1 --quiet <<SQL
CREATE ROLE $name LOGIN PASSWORD '$password';
CREATE DATABASE $name OWNER $name;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done
