# sysMaster: build, test and try. "make help" lists the targets.

GO      ?= go
LDFLAGS := -s -w
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)"

.PHONY: help build run test race check sim siege fuzz torture vm bench bench-vm size clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the reference binaries, the sandbox and torture, in bin/
	@GO=$(GO) init/process/overlay.sh bin/overlay # init's runtime survives signals from the start: init/process
	$(BUILD) -overlay bin/overlay/overlay.json -o bin/sysmaster-init ./examples/sysmaster/init
	$(BUILD) -o bin/sysmaster-core ./examples/sysmaster/core
	$(BUILD) -o bin/sysmaster-exec ./examples/sysmaster/exec
	$(BUILD) -o bin/sctl ./examples/sctl
	$(BUILD) -o bin/sandbox ./examples/sandbox
	$(BUILD) -o bin/torture ./examples/torture

run: build ## boot the reference sysMaster as PID 1 in throw-away namespaces
	bin/sandbox

# -count=1: go test does not see that a test builds and runs other packages' programs, and would show its last result.
test: ## all tests that need no virtual machine (TESTFLAGS=-v says what was skipped, and why)
	$(GO) test -count=1 -timeout 15m $(TESTFLAGS) ./...

race: ## the tests of what runs concurrently, with the race detector
	$(GO) test -race -timeout 20m ./core/... ./state/... ./unit/... ./cgroup/... ./init/...

check: ## formatting, go vet and staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

SIM_TURNS   ?= 1000000
SIM_CRASHES ?= 100000
sim: ## the simulator: SIM_TURNS turns (1000000) and SIM_CRASHES crash points (100000); SIM_SEED=n replays one seed
	SIM_TURNS=$(SIM_TURNS) SIM_CRASHES=$(SIM_CRASHES) SIM_SEED=$(SIM_SEED) SIM_FIRST=$(SIM_FIRST) SIM_DEPTH=3 GOGC=400 \
		$(GO) test -count=1 -timeout 15m -v -run 'TestExplore|TestCrashEverywhereInEveryScenario|TestCorpus' ./core/sim

siege: ## the attacks on PID 1 in full: 100,000 signals, 40,000 orphans and exits, 200,000 messages (root; needs perl)
	SYSMASTER_SIEGE=1 $(GO) test -timeout 20m -v -run 'Storm|Flood|Grow|Exhausted|NoProcess|NoProc|BadBinaries|HeldConsole|HostileStart|ForkBomb|EveryMoment|Hung|ThousandMounts|EveryWay' ./init/...

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME (30s)
	@for p in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | sed 's/func //'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) ./$$p || exit 1; done; done

TORTURE ?= --rounds 50 --services 50
torture: build ## kill the core of a sandbox at random moments and count what its services lost (TORTURE="--rounds 1000 --services 500")
	bin/sandbox --timeout 60s -- /opt/sysmaster/bin/torture $(TORTURE)

vm: ## the machine test: a Debian server boots on sysMaster in QEMU (root; needs Debian's qemu-system-x86 and debootstrap)
	examples/sysmaster/vmtest/vm.sh test

bench: ## the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-vm: ## boots of systemd 252 and of sysMaster by turns, as ratios (root)
	examples/sysmaster/vmtest/vm.sh bench

size: build ## sizes of the binaries
	@ls -l bin | awk 'NR > 1 {printf "%-16s %9d\n", $$9, $$5}'

clean: ## remove bin/
	rm -rf bin
