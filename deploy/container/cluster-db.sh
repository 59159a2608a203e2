#!/bin/bash
# Runs once, as PostgreSQL's image makes the database of cluster.yaml: the roles of Retain and of the standby.
set -euo pipefail

# The setting is in effect from the next start on, so nothing here waits for the standby. It is not an argument of the
# server, which would outrank ALTER SYSTEM: whoever promotes the standby can turn it off there.
psql -v ON_ERROR_STOP=1 -v password="$RETAIN_PASSWORD" --username postgres <<'SQL'
ALTER SYSTEM SET synchronous_standby_names = '*';
CREATE ROLE standby LOGIN REPLICATION PASSWORD :'password';
CREATE ROLE retain LOGIN PASSWORD :'password';
GRANT pg_checkpoint TO retain;
CREATE DATABASE retain OWNER retain;
\c retain
GRANT EXECUTE ON FUNCTION pg_switch_wal() TO retain;
SQL
echo "host replication standby samenet scram-sha-256" >> "$PGDATA/pg_hba.conf"
