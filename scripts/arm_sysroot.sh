#!/bin/sh
# Unpacks the arm64 Debian packages of hone's libraries into a folder, for `make test-arm`.
#
#   scripts/arm_sysroot.sh FOLDER
#
# The packages come from the machine's own apt sources but through a package state below FOLDER: nothing is installed and
# no architecture is added to the system. A folder that is complete is left as it is.
set -eu

folder=$1
packages='libhwy-dev libexpected-dev libxxhash-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libpcre2-dev
libicu-dev libcurl4-openssl-dev libssl-dev libboost-dev libgtest-dev librapidcheck-dev'
# The cross compiler brings these.
brought='libc6_* libc6-dev_* libc-dev-bin_* libcrypt* libgcc* libstdc++* gcc-12-base_* linux-libc-dev_* rpcsvc-proto_*'

complete="$folder/complete"
if [ -f "$complete" ] && [ "$(cat "$complete")" = "$packages" ]; then exit 0; fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
state="$folder/apt"
rm -rf "$state"
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: > "$state/status"

apt() {
  apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
    -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state/cache" -o Debug::NoLocking=1 "$@"
}
echo "Unpacking arm64 packages into $folder"
apt update || true
# shellcheck disable=SC2086
apt install -y --download-only --no-install-recommends $packages

rm -rf "$folder/usr" "$folder/lib"
mkdir -p "$folder/usr/lib"
ln -s usr/lib "$folder/lib"
for package in "$state"/cache/archives/*.deb; do
  for pattern in $brought; do
    # shellcheck disable=SC2254
    case ${package##*/} in $pattern) continue 2 ;; esac
  done
  dpkg -x "$package" "$folder"
done
# Links that begin at the root would lead to the machine's own files.
find "$folder/usr" -type l | while read -r link; do
  target=$(readlink "$link")
  case $target in /*) ln -sf "$folder$target" "$link" ;; esac
done
rm -rf "$state"
echo "$packages" > "$folder/complete"
