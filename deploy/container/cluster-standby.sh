#!/bin/bash
# The standby of cluster.yaml: it copies the primary at its first start. Arguments: the server's command.
set -euo pipefail

data=$PGDATA
if [ ! -s "$data/PG_VERSION" ]; then
    export PGPASSWORD=$RETAIN_PASSWORD PGHOST=${PRIMARY:-db1} PGUSER=standby
    # db1 keeps what the standby has not received, up to max_slot_wal_keep_size.
    slot="SELECT pg_create_physical_replication_slot('standby', true)
        WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'standby')"
    until psql --no-psqlrc --quiet --dbname postgres --output /dev/null --command "$slot" &&
        pg_basebackup --pgdata "$data" --write-recovery-conf --wal-method stream --slot standby; do
        sleep 1
    done
fi
chmod 700 "$data"
exec "$@" -D "$data"
