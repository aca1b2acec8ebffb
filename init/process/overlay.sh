#!/bin/sh
# overlay.sh DIR: writes DIR/overlay.json for "go build -overlay", with a copy of the runtime's table of
# signals in which SIGHUP, INT, QUIT, ABRT, TERM and STKFLT do not end a program that has not
# asked for them yet, and SIGILL, TRAP, BUS, FPE, SEGV and SYS stay blocked where they were inherited so; and of its
# allocator, which gets the addresses for its own books by the MiB instead of by 256 KiB: memory.go, Provide, has
# the rest. Nothing else of the runtime changes. doc.go says what it is for.
set -eu
mkdir -p "$1"
dir=$(cd "$1" && pwd)
table=$(${GO:-go} env GOROOT)/src/runtime/sigtab_linux_generic.go
sed -E -e 's/\{_SigNotify \+ _Sig(Kill|Throw), "SIG(HUP|INT|QUIT|ABRT|TERM):/{_SigNotify, "SIG\2:/' \
	-e 's/\{_SigThrow \+ _SigUnblock, "SIGSTKFLT:/{_SigNotify, "SIGSTKFLT:/' \
	-e 's/\{_Sig(Throw|Panic)( \+ _SigUnblock)?, "SIG(ILL|TRAP|BUS|FPE|SEGV|SYS):/{_SigPanic, "SIG\3:/' "$table" >"$dir/signals.txt.new"
changed=$(diff "$table" "$dir/signals.txt.new" | grep -c '^>' || true)
if [ "$changed" != 12 ]; then
	echo "overlay.sh: this Go's table of signals is another one: $changed of 12 lines found; see $table" >&2
	exit 1
fi
mv "$dir/signals.txt.new" "$dir/signals.txt"
books=$(dirname "$table")/malloc.go
sed 's/^const persistentChunkSize = 256 << 10$/const persistentChunkSize = 1 << 20/' "$books" >"$dir/malloc.txt.new"
if [ "$(diff "$books" "$dir/malloc.txt.new" | grep -c '^>' || true)" != 1 ]; then
	echo "overlay.sh: this Go's allocator is another one: no persistentChunkSize of 256 << 10 found; see $books" >&2
	exit 1
fi
mv "$dir/malloc.txt.new" "$dir/malloc.txt"
printf '{"Replace":{"%s":"%s","%s":"%s"}}\n' "$table" "$dir/signals.txt" "$books" "$dir/malloc.txt" >"$dir/overlay.json"
