# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Building needs Go alone: generated BPF objects are committed.

GO_MINOR := 25
SHELL    := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

# The first Go that is new enough, or fetches one that is (GOTOOLCHAIN): sudo drops /usr/local/go/bin
# from PATH, and a distribution's own Go may stand before it.
minor-of = $$($(1) env GOVERSION 2>/dev/null | sed -n 's/.*go1\.\([0-9]*\).*/\1/p' || true)
GO ?= $(shell for go in go /usr/local/go/bin/go; do minor=$(call minor-of,$$go); \
	if [ "$${minor:-0}" -ge $(GO_MINOR) ]; then echo $$go; exit; fi; done; echo go)

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?= $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unknown)
# Git does not trust the clone of another user, and the go command would fail to record the commit:
# ours, and those that tests run.
VCS     := $(if $(shell git rev-parse HEAD 2>/dev/null),auto,false)
ifeq ($(VCS),false)
export GOFLAGS += -buildvcs=false
endif
# The documentation code of the command-line library has no use at run time; see bin/share.
TAGS    := urfave_cli_no_docs
LDFLAGS := -s -w -X main.version=$(VERSION)
# Inlining pays where rows are moved. In the libraries that parse a command line or print help it only
# makes the privileged program 0.4 MB larger, so there it is off; in our own verbs, too, but not where the
# sidecar hands over frames. The last pattern that matches counts.
HOT := runtime internal sync syscall golang.org/x/sys github.com/ringside-bpf
COLD := github.com/ringside-bpf/ringside/cmd
HOT_AGAIN := github.com/ringside-bpf/ringside/cmd/ringside/internal/sidecar
bin/ringside: GCFLAGS := -gcflags=all=-l $(HOT:%=-gcflags=%/...=) $(COLD:%=-gcflags=%/...=-l) $(HOT_AGAIN:%=-gcflags=%=)
# Nor do its functions need to begin on 32 bytes: 0.14 MB of gaps, where the linker lets one choose.
bin/ringside: ALIGN = $(if $(findstring -funcalign,$(shell $(GO) tool link -help 2>&1)),-funcalign=8)
# Every folder in cmd/ is one program.
PROGRAMS := $(patsubst cmd/%/,%,$(wildcard cmd/*/))
# 8 MB: what a privileged program may weigh.
MAX_BYTES := 8000000

# Where goroutines share heap memory. The detector does not see the mapped memory of a ring; shm runs
# there for its mutexes, its private state, and its tests on a heap-backed ring. Whatever only drives
# the kernel, formats text or runs compilers (langs) gains nothing from it and runs plain.
RACE := $(addsuffix /...,$(wildcard ./shm ./reader ./clients/go) $(filter-out %/langs,$(wildcard ./cmd/ringside/internal/*)))
# Long ones whose Go code runs in one goroutine: these run plain alone.
UNRACED := ^(TestChurn|TestReused|TestScanSizes|TestHistory)$$

# What a killed test leaves mounted goes away with the namespace.
as-root := $(filter 0,$(shell id -u))
private := $(if $(as-root),$(shell unshare --mount --propagation private true 2>/dev/null && \
	echo unshare --mount --propagation private))

.PHONY: help build check-go test test-race test-plain test-offline demo generate lint fuzz bench bench-report size cross docs install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

check-go:
	@minor=$(call minor-of,$(GO)); [ "$${minor:-0}" -ge $(GO_MINOR) ] || { \
		have=$$(cd / && $(GO) env GOVERSION 2>/dev/null || echo no Go at all); \
		echo "ringside needs Go 1.$(GO_MINOR) or newer; '$(GO)' is $$have. Debian 12's own is 1.19." >&2; \
		echo "Take one from https://go.dev/dl, unpack it to /usr/local (as /usr/local/go)," >&2; \
		echo "or name yours: make GO=/path/to/bin/go" >&2; exit 1; }

build: check-go $(addprefix bin/,$(PROGRAMS)) ## bin/ringside, bin/ringside-bench: static, stripped

# The go command knows what is up to date.
.PHONY: $(addprefix bin/,$(PROGRAMS))
$(addprefix bin/,$(PROGRAMS)): bin/%: check-go
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -tags $(TAGS) $(GCFLAGS) -ldflags '$(strip $(LDFLAGS) $(ALIGN))' -o $@ ./cmd/$*

size: bin/ringside
	@size=$$(stat -c %s bin/ringside); echo "bin/ringside: $$size bytes, limit $(MAX_BYTES)"; \
		[ $$size -le $(MAX_BYTES) ]

# The emulator orders memory as this machine does, so this shows that the fences assemble and return, and
# that nothing depends on the architecture; that they suffice is argued beside the code.
cross: check-go ## build everything for arm64, and run the rings' tests there (needs qemu-user)
	GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null ./...
	@if command -v qemu-aarch64 >/dev/null; then \
		GOARCH=arm64 CGO_ENABLED=0 $(GO) test -count=1 -exec qemu-aarch64 ./shm ./shm/schema ./reader/ringbuf ./clients/go/internal/prefetch; \
		else echo "no qemu-aarch64: built, not run"; [ "$${RINGSIDE_NO_SKIP:-}" != 1 ]; fi

test: check-go test-race test-plain ## all tests; as root those with real maps, too

test-race: check-go
ifeq ($(shell command -v $${CC:-gcc}),)
	@echo "no C compiler: leaving out the run under the race detector"; [ "$${RINGSIDE_NO_SKIP:-}" != 1 ]
else
	CGO_ENABLED=1 $(private) $(GO) test -race -count=1 -timeout 10m -skip '$(UNRACED)' $(RACE)
endif

test-plain: check-go
	@$(if $(as-root),:,echo "not root: tests that need real BPF maps skip with their reason (go test -v shows it)")
	@command -v $${CARGO:-cargo} >/dev/null || echo "no cargo: leaving out the Rust client"
	@python=$${PYTHON:-$$(command -v /usr/bin/python3 || echo python3)}; \
		$$python -c 'import ensurepip, os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || \
		echo "no python3-dev and python3-venv: leaving out the Python client"; \
		$$python -c 'import numpy, pandas' 2>/dev/null || echo "no python3-numpy and python3-pandas: leaving out Python with them"
	@command -v gcc >/dev/null || echo "no C compiler: leaving out the C client (go test -v ./clients/c says what)"
	$(private) $(GO) test -count=1 -timeout 10m ./...

# Alone: whoever else runs meanwhile may be bound to that CPU.
test-offline: check-go ## reading while a CPU of this machine is away, for seconds; needs root
	RINGSIDE_OFFLINE_CPU=1 $(private) $(GO) test -count=1 -timeout 2m -run OfflineCPU ./reader

demo: bin/ringside ## the whole product in ten seconds; needs root
	bin/ringside demo $(ARGS)

generate: check-go ## compile the BPF programs; needs clang, llvm, libbpf-dev
	$(GO) generate ./...

SOURCES := $(wildcard cmd shm reader bpf clients)
# Pinned, and run without becoming a dependency of ours.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

lint: check-go ## vet, gofmt, staticcheck
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $(SOURCES)); [ -z "$$unformatted" ] || \
		{ echo "run gofmt -w on:" $$unformatted >&2; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags $(TAGS) ./cmd/...
	GOARCH=arm64 $(GO) vet ./...
	@if $(GO) run $(STATICCHECK) -version >/dev/null 2>&1; then $(GO) run $(STATICCHECK) ./...; \
		else echo "staticcheck could not be had (no network?)"; [ "$${RINGSIDE_NO_SKIP:-}" != 1 ]; fi

fuzz: check-go ## every fuzz target for FUZZTIME (10s)
	@grep -rlE '^func Fuzz' --include=*_test.go . | while read -r file; do \
		grep -oE '^func Fuzz[A-Za-z0-9]+' "$$file" | sed 's/func //' | while read -r target; do \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),10s) "$$(dirname "$$file")"; \
		done; done

bench: bin/ringside-bench bin/ringside ## the experiments, short, then the Go benchmarks
	bin/ringside-bench all --short
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-report: bin/ringside-bench bin/ringside ## the experiments, whole, into docs/benchmarks.md
	bin/ringside-bench report --write docs

# Made by a build that still has the library's documentation code.
docs: check-go ## manual page and completions into bin/share
	@mkdir -p bin/share
	$(GO) run -ldflags '-X main.version=$(VERSION)' ./cmd/ringside manual > bin/share/ringside.1
	for shell in bash zsh fish; do $(GO) run ./cmd/ringside completion $$shell > bin/share/ringside.$$shell; done

install: build docs ## into DESTDIR/PREFIX (/usr/local)
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 0755 $(addprefix bin/,$(PROGRAMS)) '$(DESTDIR)$(PREFIX)/bin'
	install -D -m 0644 bin/share/ringside.1 '$(DESTDIR)$(PREFIX)/share/man/man1/ringside.1'
	install -D -m 0644 bin/share/ringside.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ringside'
	install -D -m 0644 bin/share/ringside.zsh '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ringside'
	install -D -m 0644 bin/share/ringside.fish '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ringside.fish'

clean: ## remove bin/
	rm -rf bin clients/rust/target
