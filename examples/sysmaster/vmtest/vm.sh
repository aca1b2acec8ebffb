#!/bin/bash
# The recipes of "make vm" and "make bench-vm".
set -euo pipefail

usage() {
	cat >&2 <<'END'
vm.sh test [flags of go test]   the machine test
vm.sh bench [flags of bench]    boots of systemd and sysMaster, measured by turns
vm.sh packages                  what a Debian machine needs for both, for apt-get install
END
	exit 64
}

cd "$(dirname "$0")/../../.."

die() { echo "vm.sh: $*" >&2; exit 1; }

# need TOOL PACKAGE: /sbin is where Debian has mke2fs and debootstrap, and not in every PATH.
PATH=$PATH:/usr/sbin:/sbin
need() { command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"; }

packages="qemu-system-x86 debootstrap e2fsprogs gcc libc6-dev"
mode=${1:-}
[ $# -eq 0 ] || shift
case $mode in
packages) echo "$packages"; exit ;;
test | bench) ;;
*) usage ;;
esac

[ "$(id -u)" = 0 ] || die "the machine's root file system is made by debootstrap, which needs root"
need go "golang (1.26 or newer)"
need qemu-system-x86_64 qemu-system-x86
need debootstrap debootstrap
need mke2fs e2fsprogs
if [ "$mode" = test ]; then
	SYSMASTER_VM=1 exec go test -count=1 -timeout 30m -v "$@" ./examples/sysmaster/vmtest
fi
need cc gcc
mkdir -p .cache/vm
exec go run ./examples/sysmaster/vmtest/bench -json .cache/vm/bench.json "$@"
