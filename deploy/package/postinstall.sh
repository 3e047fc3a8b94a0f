#!/bin/sh
# After the files are laid: the account, who may read the configuration, and a restart where the service was running.
# Debian calls this with `configure [the version before]`, rpm with the number of versions that are then installed.
set -e

case "$1" in
configure | 1 | 2) ;;
*) exit 0 ;;
esac

systemd-sysusers mde-collector.conf

# Only what the package itself brought: files that somebody put beside it keep their owner.
for path in /etc/mde-collector /etc/mde-collector/config.yaml; do
    if [ -e "$path" ]; then
        chgrp mde-collector "$path"
    fi
done

# A machine that is being made, or an image, has no service manager to tell.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart mde-collector.service
fi

# The first time nothing is started: the configuration names no tenant yet.
if [ "$1" = 1 ] || { [ "$1" = configure ] && [ -z "$2" ]; }; then
    echo "mde-collector: edit /etc/mde-collector/config.yaml, then: systemctl enable --now mde-collector"
fi
