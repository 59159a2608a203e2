#!/bin/sh
# Copy a folder into the container recordings, and check every file by its sum.
set -eu
folder=${1:?which folder?}
account=${RETAIN_ACCOUNT:-mytenant}
export RCLONE_CONFIG=/dev/null
export RCLONE_CONFIG_RETAIN_TYPE=azureblob
export RCLONE_CONFIG_RETAIN_SAS_URL="${RETAIN_URL:-http://127.0.0.1:8080}/$account?${RETAIN_TOKEN:?a token}"

rclone copy "$folder" retain:recordings/copied
rclone check "$folder" retain:recordings/copied 2>/dev/null
echo "$(rclone lsf -R --files-only retain:recordings/copied | wc -l | tr -d ' ') files, all the same"
