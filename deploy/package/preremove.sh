#!/bin/sh
# Before the files go: the service ends in order, its outputs drained. An upgrade stops nothing here; it restarts at its end.
# Debian calls this with `remove` or `upgrade VERSION`, rpm with the number of versions that will be left.
set -e

case "$1" in
remove | 0)
    if [ -d /run/systemd/system ]; then
        systemctl disable --now mde-collector.service
    fi
    ;;
esac
