#!/bin/sh
# Runs as root in the booted root of test.sh: install, run, reload, break, upgrade, remove, purge. Each claim is a line that can fail.
# shellcheck disable=SC2016 # what until_true is given is a command for later
set -eu

claim() { echo "ok: $*"; }
# Waits until a command succeeds, for a minute at most.
until_true() {
    for _ in $(seq 1 120); do
        if sh -c "$1"; then return 0; fi
        sleep 0.5
    done
    echo "failed: never true: $1"
    journalctl --unit mde-collector --no-pager | tail -20
    exit 1
}
pid() { systemctl show --property MainPID --value mde-collector; }
config=/etc/mde-collector/config.yaml
out=/var/lib/mde-collector/out/alerts.ndjson

dpkg --install /packages/older.deb
test "$(stat -c '%a %U %G' $config)" = "640 root mde-collector"
test "$(stat -c '%a %U %G' /etc/mde-collector)" = "750 root mde-collector"
systemctl is-enabled --quiet mde-collector && exit 1
claim "installed; the configuration is for root and the service alone; nothing was started"

systemctl enable --now mde-collector || true
until_true '[ "$(systemctl show --property ExecMainStatus --value mde-collector)" = 2 ]'
until_true 'systemctl is-failed --quiet mde-collector'
test "$(systemctl show --property NRestarts --value mde-collector)" = 0
claim "a configuration that is still the example ends with exit 2, and is not tried again and again"
systemctl reset-failed mde-collector

mkdir /simulator
systemd-run --quiet --unit simulator sh -c 'exec mde-collector simulate --alerts 200 --machines 20 > /simulator/inputs.yaml'
until_true 'grep -q client_secret /simulator/inputs.yaml 2>/dev/null'
cat /simulator/inputs.yaml >$config
echo 'globals: {persistence: {type: filesystem, config: {directory_name: /var/lib/mde-collector/state}}}' >>$config
echo 'outputs: {files: {type: file, config: {path: "out/{service}.ndjson"}}}' >>$config
before=$(sha256sum $config)
systemctl start mde-collector
until_true "[ -s $out ]"
until_true "[ \$(grep -o 'event_id\":\"[^\"]*' $out | wc -l) -ge 200 ]"
test "$(ps -o user= -p "$(pid)" | cut -c1-6)" = mde-co
test "$(stat -c '%a' /var/lib/mde-collector)" = 700
claim "the service runs in its sandbox as its own account and delivers: $(wc -l <$out) events of alerts"

first=$(pid)
systemctl reload mde-collector
until_true 'journalctl --unit mde-collector --no-pager | grep -q "read again"'
test "$(pid)" = "$first"
claim "reload keeps the process"

kill -9 "$first"
until_true "[ \$(systemctl show --property NRestarts --value mde-collector) = 1 ] && systemctl is-active --quiet mde-collector"
claim "killed by -9, it is started again"

dpkg --install /packages/newer.deb
test "$(mde-collector --version)" = "mde-collector $VERSION"
systemctl is-active --quiet mde-collector
test "$(sha256sum $config)" = "$before"
mde-collector state show --config $config --format json | grep -q '"service": *"alerts"'
lines=$(grep -c . $out)
ids=$(grep -o 'event_id":"[^"]*' $out | sort -u | wc -l)
test "$lines" = "$ids"
claim "upgraded over the older version while it ran: configuration as it was, state kept, $lines events and none twice"

systemd-analyze verify --man=no /usr/lib/systemd/system/mde-collector.service
systemd-analyze security --no-pager mde-collector | tail -1
test "$(systemd-analyze security --no-pager mde-collector | sed -n 's/.*: \([0-9]\)\.[0-9] .*/\1/p')" -le 1
claim "systemd finds no fault in the unit, and an exposure below 2.0"

dpkg --remove mde-collector
systemctl is-active --quiet mde-collector && exit 1
test ! -e /usr/bin/mde-collector
test -s $out && test -e $config
claim "removed: stopped, the binary gone, state and configuration left"

dpkg --install /packages/newer.deb
systemctl enable --now mde-collector
until_true 'systemctl is-active --quiet mde-collector'
dpkg --purge mde-collector
left=$(find / -xdev -name '*mde-collector*' -not -path '/proc/*' -not -path '/var/log/*' | grep -v '^/packages' || true)
test -z "$left" || { echo "failed: left: $left"; exit 1; }
claim "installed again over it, and purged: nothing is left"

touch /packages/passed
