#!/bin/sh
# Builds the image of the Dockerfile where no registry of images can be reached, and runs it as Kubernetes would: read-only root,
# a number for a user, no capabilities. Called by `cargo x package --test`. Needs root, buildah, podman, runc; a Debian root in
# target/packages/debian (deploy/package/test.sh makes it) and the binary in target/packages/release.
set -eu

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
work=target/packages/image
binary=target/packages/release/mde-collector
pod() { podman --cgroup-manager cgroupfs --runtime runc "$@"; }
image_of() { # NAME, then pairs of what is added and where
    name=$1 container=$(buildah from scratch)
    shift
    while [ $# -gt 0 ]; do
        buildah add --quiet "$container" "$1" "$2" >/dev/null
        shift 2
    done
    buildah config --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
    buildah commit --quiet --rm "$container" "$name" >/dev/null
}

rm -rf "$work"
mkdir -p "$work/base/tmp" "$work/config" "$work/certs" "$work/credentials" "$work/state"

# The base: the C library and what it needs, as in the distroless image; no shell.
(cd "$work" && apt-get download -qq libc6 libgcc-s1 base-files 2>/dev/null && for package in *.deb; do dpkg-deb --extract "$package" base; done)
image_of localhost/base:nonroot "$work/base" /

# The compiler's stand-in gives the binary that was built outside; everything else of the Dockerfile runs as it is.
printf '#!/bin/sh\nmkdir -p target/release && cp /built target/release/mde-collector\n' >"$work/cargo"
chmod 755 "$work/cargo"
image_of localhost/toolchain target/packages/debian / "$work/cargo" /usr/local/bin/cargo "$binary" /built
buildah build --quiet --ignorefile .dockerignore --build-arg RUST=localhost/toolchain --build-arg BASE=localhost/base:nonroot \
    --file deploy/container/Dockerfile --tag localhost/mde-collector . >/dev/null

"$binary" simulate --alerts 200 --machines 50 >"$work/inputs.yaml" 2>"$work/simulator.log" &
simulator=$!
trap 'kill $simulator; pod rm --force collector >/dev/null 2>&1 || true' EXIT
until grep -q serving "$work/simulator.log"; do sleep 0.2; done
sed -n 's/ *client_secret: "\(.*\)"/\1/p' "$work/inputs.yaml" >"$work/credentials/secret"
sed 's/client_secret: .*/client_secret_file: secret/' "$work/inputs.yaml" >"$work/config/config.yaml"
echo 'outputs: {files: {type: file, config: {path: "state/out/{service}.ndjson"}}}' >>"$work/config/config.yaml"
chown -R 65532:65532 "$work/config" "$work/credentials" "$work/state"

here=$(pwd)/$work
pod run --detach --name collector --read-only --tmpfs /tmp --network host --cap-drop all --security-opt no-new-privileges \
    --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --volume "$here/config:/devo-collector/config:ro" --volume "$here/certs:/devo-collector/certs:ro" \
    --volume "$here/credentials:/devo-collector/credentials:ro" --volume "$here/state:/devo-collector/state" localhost/mde-collector >/dev/null
for _ in $(seq 1 120); do
    if [ "$(cat "$work/state/out/alerts.ndjson" 2>/dev/null | wc -l)" -ge 200 ]; then break; fi
    sleep 0.5
done
pid=$(pod inspect --format '{{.State.Pid}}' collector)
grep -q '^Uid:.65532' "/proc/$pid/status"
grep -q '^CapEff:.0000000000000000' "/proc/$pid/status"
awk '$5 == "/" { print $6 }' "/proc/$pid/mountinfo" | grep -q '^ro'
echo "ok: user 65532, no capability, read-only root, $(cat "$work"/state/out/*.ndjson | wc -l) events delivered"

kill -TERM "$pid"
for _ in $(seq 1 150); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
test "$(pod inspect --format '{{.State.ExitCode}}' collector)" = 0
lines=$(grep -c . "$work/state/out/alerts.ndjson")
test "$lines" = "$(grep -o 'event_id":"[^"]*' "$work/state/out/alerts.ndjson" | sort -u | wc -l)"
echo "ok: SIGTERM ends it with code 0, $lines events of alerts and none twice"
