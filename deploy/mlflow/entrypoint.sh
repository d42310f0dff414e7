#!/bin/sh
# Puts the address of the users' database, which holds a password, into the configuration, and starts the server.
set -eu
umask 077
python - <<'PYTHON'
import os
from pathlib import Path

text = Path("/opt/mlflow/basic_auth.ini").read_text(encoding="utf-8")
# ConfigParser takes a % for the start of a variable
uri = os.environ["AUTH_DATABASE_URI"].replace("%", "%%")
Path.home().joinpath("basic_auth.ini").write_text(text.replace("${AUTH_DATABASE_URI}", uri), encoding="utf-8")
PYTHON
export MLFLOW_AUTH_CONFIG_PATH="$HOME/basic_auth.ini"
exec mlflow server \
    --app-name basic-auth \
    --backend-store-uri "$BACKEND_DATABASE_URI" \
    --artifacts-destination /artifacts --serve-artifacts \
    --host 0.0.0.0 --port 5000 --workers "${WORKERS:-2}" \
    --allowed-hosts "$ALLOWED_HOSTS"
