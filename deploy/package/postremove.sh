#!/bin/sh
# After the files have gone. State and configuration are left where somebody may come back to them; only Debian's `purge` asks for
# their end. The account stays, as is the custom: its number must not be given to somebody else who would then own old files.
set -e

case "$1" in
purge)
    rm -rf /var/lib/mde-collector /etc/mde-collector
    ;;
esac

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
