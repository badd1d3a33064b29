#!/bin/sh
# Makes an image, as `docker save` would, from a statically linked busybox: no registry, no build tool.
#   examples/container/image.sh app.tar
# With a Dockerfile of your own instead:  podman build -t app . && podman save -o app.tar app
set -eu
out=$1
busybox=${BUSYBOX:-$(command -v busybox)}
if ldd "$busybox" > /dev/null 2>&1; then
  echo "$busybox is not statically linked: install busybox-static" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/root/bin" "$work/root/tmp" "$work/root/etc" "$work/image"
cp "$busybox" "$work/root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"
done
echo 'made without a registry' > "$work/root/etc/motd"

# The same bytes whenever it is made: the image is named by its digest.
pack() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@"; }
pack -C "$work/root" -cf "$work/layer.tar" .
layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin","GREETING=hello"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
  "$layer" > "$work/config.json"
config=$(sha256sum "$work/config.json" | cut -d' ' -f1)
mv "$work/layer.tar" "$work/image/$layer.tar"
mv "$work/config.json" "$work/image/$config.json"
printf '[{"Config":"%s.json","RepoTags":null,"Layers":["%s.tar"]}]' "$config" "$layer" > "$work/image/manifest.json"
pack -C "$work/image" -cf "$out" manifest.json "$config.json" "$layer.tar"
