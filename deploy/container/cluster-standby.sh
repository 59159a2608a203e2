#!/bin/bash
# The standby of cluster.yaml: it copies the primary at its first start. Arguments: the server's command.
set -euo pipefail

data=$PGDATA
if [ ! -s "$data/PG_VERSION" ]; then
    export PGPASSWORD=$RETAIN_PASSWORD
    until pg_basebackup --host "${PRIMARY:-db1}" --username standby --pgdata "$data" --write-recovery-conf --wal-method stream; do
        sleep 1
    done
fi
chmod 700 "$data"
exec "$@" -D "$data"
