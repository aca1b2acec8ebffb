#!/bin/bash
# Makes a Debian root directory and unpacks Debian's cloud kernel beside it:
#   build-root.sh OUTPUT SUITE PACKAGE...
# leaves OUTPUT/root, OUTPUT/kernel (the unpacked kernel package) and OUTPUT/packages (names and versions).
#
# The mirror, the proxies and the credentials are the ones of this machine's apt. SYSMASTER_MIRROR overrides the mirror, for
# a machine whose apt does not name a Debian archive that debootstrap can read. Nothing of this machine is changed.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

die() { echo "cannot build the root: $*" >&2; exit 1; }

output=$1 suite=$2
shift 2
packages=("$@")

[ "$(id -u)" = 0 ] || die "debootstrap needs root"
for tool in debootstrap dpkg-deb apt-get apt-cache apt-config; do
	command -v "$tool" >/dev/null || die "$tool is not installed"
done

# The archive of the first plain Debian suite (not -updates, not security) that apt knows: its other suites are in the same place.
apt_mirror() {
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 !~ /-/ && $4 == "main" { print $5; exit }'
}
mirror=${SYSMASTER_MIRROR:-$(apt_mirror)}
[ -n "$mirror" ] || die "apt knows no Debian archive (is apt-get update done?); set SYSMASTER_MIRROR"
case $mirror in
http://* | https://* | file:* | copy:*) ;;
*) die "debootstrap cannot read $mirror; set SYSMASTER_MIRROR" ;;
esac

# debootstrap downloads with wget, which reads its proxies from the environment and not from apt.
for scheme in http https; do
	variable=${scheme}_proxy
	if [ -z "${!variable:-}" ]; then
		eval "$(apt-config shell proxy "Acquire::$scheme::Proxy")"
		[ -z "${proxy:-}" ] || [ "$proxy" = DIRECT ] || export "$variable=$proxy"
		unset proxy
	fi
done

root=$output/root
included=$(IFS=,; echo "${packages[*]}")
debootstrap --arch=amd64 --variant=minbase --include="$included" "$suite" "$root" "$mirror" ||
	{ tail -n 20 "$root/debootstrap/debootstrap.log" >&2 || true; die "debootstrap failed"; }

# The kernel comes through this machine's apt methods and proxies, but with the new root's sources and keys, so that the suite is right.
apt=(-o "Dir=$root" -o "Dir::State::status=$root/var/lib/dpkg/status" -o Dir::Bin::methods=/usr/lib/apt/methods
	-o Dir::Etc::sourceparts=/dev/null -o APT::Architecture=amd64 -o APT::Sandbox::User=root)
apt-get -q "${apt[@]}" update
kernel=$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
[ -n "$kernel" ] || die "linux-image-cloud-amd64 names no kernel"
mkdir "$output/download"
(cd "$output/download" && apt-get -q "${apt[@]}" download "$kernel")
dpkg-deb -x "$output"/download/*.deb "$output/kernel"
rm -r "$output/download"

dpkg-query --admindir="$root/var/lib/dpkg" -W >"$output/packages"
echo "$kernel" >>"$output/packages"

# Only what no program reads is left out, and what debootstrap copied from this machine.
rm -rf "$root"/usr/share/{doc,man,info,locale,lintian}/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
echo vmtest >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost vmtest\n::1\tlocalhost\n' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
