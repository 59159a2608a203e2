#!/bin/sh
# Values with a time to live: create, read, update, list, delete.
set -eu
storage="${RETAIN_URL:-http://127.0.0.1:8080}/genesys/1/storage"

id=$(curl -sSf -d Key1=Value1 "$storage/3600" | cut -d'"' -f4)
echo "stored: $(curl -sSf "$storage/$id/Key1")"

curl -sSf -o /dev/null -d Key1=Value2 -d Key2=more "$storage/$id/60"
echo "updated: $(curl -sSf "$storage/$id")"

curl -sSf -o /dev/null -X DELETE "$storage/$id"
echo "after deletion: $(curl -s -o /dev/null -w '%{http_code}' "$storage/$id")"
