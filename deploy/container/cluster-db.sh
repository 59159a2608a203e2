#!/bin/bash
# Runs once, as PostgreSQL's image makes the database of cluster.yaml: the roles of Retain and of the standby.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -v password="$RETAIN_PASSWORD" --username postgres <<'SQL'
SET synchronous_commit = local;
CREATE ROLE standby LOGIN REPLICATION PASSWORD :'password';
CREATE ROLE retain LOGIN PASSWORD :'password';
GRANT pg_checkpoint TO retain;
CREATE DATABASE retain OWNER retain;
\c retain
SET synchronous_commit = local;
GRANT EXECUTE ON FUNCTION pg_switch_wal() TO retain;
SQL
echo "host replication standby samenet scram-sha-256" >> "$PGDATA/pg_hba.conf"
