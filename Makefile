# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make         build build/tocsin; no root, no BTF needed
#   make run     install what is missing, build, run the agent here with its embedded defaults
#   make test    install what is missing, build, run the tests
#   make demo    five nodes on this machine, one is cut off: who notices, and when
#   make bench   what it costs and how fast it is, measured here, into docs/performance.md (some 25 min);
#                BENCH="--quick programs" only prints these sections, BENCH=--help names all
#   make test-kernels  the same binary on other kernels, in virtual machines; BRIEF=1 without the longest
#                      tests, KERNELS="5.10 6.12-arm64" only these (tests/vm/run --help)
#   make fuzz    the parsers under libFuzzer, FUZZ_SECONDS=120 each; FUZZ="config row" only these
#   make valgrind      the unit tests under memcheck
#   make test-debian   build and tests with Debian 13's compilers and libraries, in a root of its own
#   make lint    formatting and static analysis
#   make install DESTDIR= PREFIX=/usr/local
#   make deb     the Debian package, in build/deb
#   make image   the container image, in build/image; no daemon, no registry
#   make test-image     it in a pod of deploy/kubernetes, as a container runtime runs that here
#   make test-manifests deploy/kubernetes and deploy/helm: what kubectl and helm make of them
#   make test-kube      the tests with a Kubernetes API, against a real one that is built from Debian's source
#   make test-kubelet   the DaemonSet with a kubelet, containerd and control plane of the same release
#   make test-packages  it in a Debian 12 and a Debian 13: installed, upgraded, removed, purged
#
# V=1 shows the commands. BUILD=DIR builds elsewhere. CC, CLANG, BPFTOOL, PKG_CONFIG, CPPFLAGS, CFLAGS and
# LDFLAGS are yours to set; what the build itself needs is added to them.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

BUILD      ?= build
PREFIX     ?= /usr/local
CC         := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG      ?= clang
BPFTOOL    ?= $(or $(shell command -v bpftool 2>/dev/null),/usr/sbin/bpftool)
PKG_CONFIG ?= pkg-config

VERSION   := 0.1.0
LIBRARIES := libbpf libelf zlib libuv jansson yaml-0.1 libmicrohttpd libsodium libcurl libcap
# Loaded only by the process that needs it (user/isolate/nft.c): headers, not linked.
LOADED    := libnftables

CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wformat-security
# Without optimisation the C library cannot fortify, and says so on each file.
FORTIFY  := $(if $(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-D_FORTIFY_SOURCE=2)
DEFINES  := -D_GNU_SOURCE -DTOCSIN_VERSION='"$(VERSION)"' -I. -Iuser -I$(BUILD)
OUR_CPPFLAGS := $(DEFINES) $(FORTIFY) $(CPPFLAGS)
OUR_CFLAGS   := -std=gnu11 $(WARNINGS) -fstack-protector-strong $(CFLAGS)
BPF_CFLAGS   := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-missing-declarations \
		-I. -Ivmlinux -Ibpf

V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$@)'
else
say = @:
endif

# What is looked for only once a recipe needs it, so that `make test` can install it first. One clear
# line instead of a compiler's 200 when it is not there.
need_tool = $(if $(shell command -v $(firstword $(1)) 2>/dev/null),,$(error \
	$(firstword $(1)) is not installed; run 'scripts/install-deps $(2)' (as root), which installs what is missing))
need_libraries = $(call need_tool,$(PKG_CONFIG),$(2))$(foreach l,$(1),$(if \
	$(shell $(PKG_CONFIG) --exists $(l) 2>/dev/null && echo yes),,$(error \
	library $(l) is not installed, or its headers are not; run 'scripts/install-deps $(2)' (as root), \
	which installs what is missing)))

once = $(eval $(1) := $(2))$($(1))
LIBRARY_CFLAGS = $(call need_tool,$(CC),build)$(call need_libraries,$(LIBRARIES) $(LOADED),build)$(call \
	once,LIBRARY_CFLAGS,$(shell $(PKG_CONFIG) --cflags $(LIBRARIES) $(LOADED)))
LIBRARY_LIBS = $(call once,LIBRARY_LIBS,$(shell $(PKG_CONFIG) --libs $(LIBRARIES)))
CMOCKA_LIBS = $(call need_libraries,cmocka,test)$(call once,CMOCKA_LIBS,$(shell $(PKG_CONFIG) --libs cmocka))
FUSE_LIBS = $(call need_libraries,fuse3,test)$(call once,FUSE_LIBS,$(shell $(PKG_CONFIG) --libs fuse3))
BPF_TOOLS = $(call need_tool,$(CLANG),build)$(call need_tool,$(BPFTOOL),build)$(call once,BPF_TOOLS,)

PROGRAMS  := $(wildcard bpf/*.bpf.c)
SKELETONS := $(PROGRAMS:bpf/%.bpf.c=$(BUILD)/bpf/%.skel.h)
TEST_SKELETONS := $(patsubst %.bpf.c,$(BUILD)/%.skel.h,$(wildcard tests/live/*.bpf.c))
SOURCES   := $(wildcard user/*/*.c)
OBJECTS   := $(SOURCES:%.c=$(BUILD)/%.o)
SANITIZED_OBJECTS := $(SOURCES:%.c=$(BUILD)/sanitize/%.o)

# Test programs, and the other files of their directories, which are linked to each of them.
unit_sources := $(wildcard tests/unit/*.c)
live_sources := $(filter-out %.bpf.c,$(wildcard tests/live/*.c))
UNIT_TESTS   := $(patsubst %.c,$(BUILD)/%,$(filter tests/unit/test_%,$(unit_sources)))
# The same, of the objects that the program itself is made of.
PLAIN_UNIT_TESTS := $(UNIT_TESTS:$(BUILD)/%=$(BUILD)/plain/%)
LIVE_TESTS   := $(patsubst %.c,$(BUILD)/%,$(filter tests/live/test_%,$(live_sources)))
# Loaded into the program itself, in place of the C library's functions.
LIVE_PRELOADS := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/live/preload/*.c))
BENCHES      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_SUPPORT := $(patsubst %.c,$(BUILD)/sanitize/%.o,$(filter-out tests/unit/test_%,$(unit_sources)))
LIVE_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/live/test_%,$(live_sources)))
PLAIN_UNIT_SUPPORT := $(UNIT_SUPPORT:$(BUILD)/sanitize/%=$(BUILD)/%)
# What reads what others wrote; the rooms above these only put it together.
FUZZED_OBJECTS := $(patsubst %.c,$(BUILD)/fuzz/%.o,$(filter-out user/agent/% user/cmd/% user/trace/%,$(SOURCES)))

all: $(BUILD)/tocsin

# Files that change only when what they hold changes: what depends on them is made again after a change
# of compiler or flags, or when a source was added or removed.
$(BUILD)/flags.stamp: contents = $(CC) $(OUR_CPPFLAGS) $(OUR_CFLAGS)
$(BUILD)/fuzz-flags.stamp: contents = $(FUZZ_CC) $(DEFINES) $(CPPFLAGS) $(FUZZ_FLAGS)
$(BUILD)/bpf-flags.stamp: contents = $(CLANG) $(BPF_CFLAGS)
$(BUILD)/link-flags.stamp: contents = $(CC) $(LDFLAGS) $(LIBRARIES)
$(BUILD)/objects.stamp: contents = $(OBJECTS) $(UNIT_SUPPORT) $(LIVE_SUPPORT)
$(BUILD)/%.stamp: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(contents))' > $@.$$$$ && \
		if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv -f $@.$$$$ $@; fi

$(BUILD)/tocsin: $(BUILD)/user/tocsin.o $(BUILD)/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)$(CC) $(OUR_CFLAGS) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(LIBRARY_LIBS) -lm

$(BUILD)/libtocsin.a: $(OBJECTS) $(BUILD)/objects.stamp
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJECTS)

# A skeleton must be there before the first compilation; which file includes which, its .d file knows then.
$(BUILD)/user/%.o: user/%.c $(BUILD)/flags.stamp | $(SKELETONS)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CPPFLAGS) $(OUR_CFLAGS) $(LIBRARY_CFLAGS) -MMD -MP -c -o $@ $<

BPF_OBJECTS := $(patsubst %.skel.h,%.bpf.o,$(SKELETONS) $(TEST_SKELETONS))
$(BPF_OBJECTS): $(BUILD)/%.bpf.o: %.bpf.c $(BUILD)/bpf-flags.stamp
	$(call say,BPF)
	$(Q)$(BPF_TOOLS)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $(@:.o=.tmp.o) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.tmp.o)

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F)_bpf > $@

# Unit tests are built with AddressSanitizer and UndefinedBehaviorSanitizer, in a tree of their own.
SANITIZE := -std=gnu11 $(WARNINGS) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -fno-omit-frame-pointer

$(BUILD)/sanitize/%.o: %.c $(BUILD)/flags.stamp | $(SKELETONS)
	$(call say,CC+SAN)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(DEFINES) -Itests $(CPPFLAGS) $(SANITIZE) $(LIBRARY_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/sanitize/libtocsin.a: $(SANITIZED_OBJECTS) $(BUILD)/objects.stamp
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $(SANITIZED_OBJECTS)

$(UNIT_TESTS): $(BUILD)/tests/unit/%: $(BUILD)/sanitize/tests/unit/%.o $(UNIT_SUPPORT) \
		$(BUILD)/sanitize/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(CMOCKA_LIBS) $(LIBRARY_LIBS) -lm

$(PLAIN_UNIT_TESTS): $(BUILD)/plain/%: $(BUILD)/%.o $(PLAIN_UNIT_SUPPORT) \
		$(BUILD)/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(CMOCKA_LIBS) $(LIBRARY_LIBS) -lm

# A fuzz target over the files of its corpus, as a unit test is built.
$(FUZZ_TARGETS): $(BUILD)/tests/fuzz/%: $(BUILD)/sanitize/tests/fuzz/%.o $(BUILD)/sanitize/tests/fuzz/replay.o \
		$(BUILD)/sanitize/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(LIBRARY_LIBS) -lm

# And under libFuzzer, which is clang's.
FUZZ_CC    ?= clang
FUZZ_FLAGS := $(SANITIZE) -fsanitize=fuzzer-no-link

$(BUILD)/fuzz/%.o: %.c $(BUILD)/fuzz-flags.stamp | $(SKELETONS)
	$(call say,CC+FUZZ)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(DEFINES) -Itests $(CPPFLAGS) $(FUZZ_FLAGS) $(LIBRARY_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/libtocsin.a: $(FUZZED_OBJECTS) $(BUILD)/objects.stamp
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $(FUZZED_OBJECTS)

$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)$(FUZZ_CC) $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(LIBRARY_LIBS) -lm

$(BUILD)/tests/%.o: tests/%.c $(BUILD)/flags.stamp | $(SKELETONS) $(TEST_SKELETONS)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CPPFLAGS) -Itests $(OUR_CFLAGS) $(LIBRARY_CFLAGS) -MMD -MP -c -o $@ $<

$(LIVE_TESTS): $(BUILD)/tests/live/%: $(BUILD)/tests/live/%.o $(LIVE_SUPPORT) $(BUILD)/libtocsin.a \
		$(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)$(CC) $(OUR_CFLAGS) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(CMOCKA_LIBS) $(FUSE_LIBS) $(LIBRARY_LIBS) -lm

$(LIVE_PRELOADS): $(BUILD)/%.so: %.c $(BUILD)/flags.stamp
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CPPFLAGS) $(OUR_CFLAGS) $(LDFLAGS) -shared -fPIC -o $@ $<

# The faults of a disk are those of the live tests.
FAULT_DISK := $(BUILD)/tests/bench/fault_disk
FAULT_DISK_SUPPORT := $(addprefix $(BUILD)/tests/live/,child.o fuse_disk.o loop_disk.o)
$(FAULT_DISK): $(FAULT_DISK).o $(FAULT_DISK_SUPPORT) $(BUILD)/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)$(CC) $(OUR_CFLAGS) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(CMOCKA_LIBS) $(FUSE_LIBS) $(LIBRARY_LIBS) -lm

$(filter-out $(FAULT_DISK),$(BENCHES)): $(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libtocsin.a $(BUILD)/link-flags.stamp
	$(call say,LINK)
	$(Q)$(CC) $(OUR_CFLAGS) $(LDFLAGS) -o $@ $(filter-out %.stamp,$^) $(LIBRARY_LIBS) -lm -lpthread

# The empty recipes keep make from saying that there is nothing to be done.
unit-tests: $(UNIT_TESTS) $(FUZZ_TARGETS)
	@:
plain-unit-tests: $(PLAIN_UNIT_TESTS)
	@:
fuzzers: $(FUZZ_TARGETS:$(BUILD)/tests/fuzz/%=$(BUILD)/fuzz/%)
	@:
live-tests: $(LIVE_TESTS) $(LIVE_PRELOADS)
	@:
benches: $(BENCHES) $(LIVE_PRELOADS)
	@:
skeletons: $(SKELETONS) $(TEST_SKELETONS)
	@:

# For editors and for clang-tidy.
compile-commands: $(BUILD)/compile_commands.json
$(BUILD)/compile_commands.json: $(BUILD)/flags.stamp $(BUILD)/objects.stamp scripts/compile-commands
	$(call say,JSON)
	$(Q)scripts/compile-commands $@ user/tocsin.c $(SOURCES) $(unit_sources) $(live_sources) -- \
		$(CC) $(subst -I$(BUILD),-isystem $(BUILD),$(OUR_CPPFLAGS)) -Itests $(OUR_CFLAGS) $(LIBRARY_CFLAGS)

deps-%:
	@scripts/install-deps $*

# Recursive on purpose: what the build needs may only now have been installed. With all CPUs, unless it
# was said how many. (What calls make through a variable needs the "+".)
AGAIN = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

run: deps-build
	+$(Q)$(AGAIN) all
	$(Q)exec $(BUILD)/tocsin agent

test: deps-test
	+$(Q)$(AGAIN) all unit-tests live-tests
	$(Q)V=$(V) tests/run $(BUILD)

demo: deps-test
	+$(Q)$(AGAIN) all
	$(Q)tests/lab/demo $(BUILD)

bench: deps-bench
	+$(Q)$(AGAIN) all benches
	$(Q)tests/bench/run $(BUILD) $(or $(BENCH),--write docs/performance.md)

test-kernels: deps-vm $(if $(findstring arm64,$(or $(KERNELS),arm64)),deps-arm64)
	+$(Q)$(AGAIN) all live-tests
	$(Q)tests/vm/run $(if $(BRIEF),--brief) $(BUILD) $(KERNELS)

fuzz: deps-fuzz
	+$(Q)$(AGAIN) fuzzers
	$(Q)tests/fuzz/run $(BUILD) $(FUZZ)

valgrind: deps-valgrind
	+$(Q)$(AGAIN) all plain-unit-tests
	$(Q)V=$(V) tests/run --valgrind $(BUILD)

test-debian: deps-debian
	$(Q)V=$(V) tests/debian/run $(BUILD)

lint: deps-lint
	+$(Q)$(AGAIN) skeletons compile-commands
	$(Q)scripts/lint $(BUILD)

install: all
	install -D -m 0755 $(BUILD)/tocsin $(DESTDIR)$(PREFIX)/bin/tocsin
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/man/tocsin.1 docs/man/tocsin-trace.1
	install -D -m 0644 deploy/tocsin.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tocsin

deb: deps-deb
	$(Q)scripts/deb $(BUILD)

image: deps-image
	+$(Q)$(AGAIN) all
	$(Q)scripts/image $(BUILD)

test-image: deps-pod
	+$(Q)$(AGAIN) all
	$(Q)scripts/image $(BUILD)
	$(Q)V=$(V) tests/run $(BUILD) image/

# The programs are built once in a BUILD directory, which takes some ten minutes.
KUBE_TESTS := kube/ live/test_node_conditions live/test_pods live/test_store_kubernetes live/test_trace_pods \
	lab/test_cluster_kubernetes

test-kube: deps-test
	+$(Q)$(AGAIN) all live-tests
	$(Q)tests/kube/release $(BUILD)
	$(Q)TOCSIN_KUBE_PROGRAMS=$(BUILD)/kubernetes LONG=1 V=$(V) tests/run $(BUILD) $(KUBE_TESTS)

test-kubelet: deps-kubelet
	+$(Q)$(AGAIN) all
	$(Q)scripts/image $(BUILD)
	$(Q)scripts/kube-tools $(BUILD)
	$(Q)tests/kube/release $(BUILD)
	$(Q)V=$(V) tests/run $(BUILD) kubelet/

test-manifests: deps-manifests
	+$(Q)$(AGAIN) all
	$(Q)scripts/kube-tools $(BUILD)
	$(Q)V=$(V) tests/run $(BUILD) deploy/test_manifests

test-packages: deps-packages
	$(Q)tests/packages/run $(BUILD)

clean:
	rm -rf $(BUILD)

.PHONY: all run test demo bench test-kernels fuzz valgrind test-debian lint install deb image test-image \
	test-kubelet test-manifests test-kube test-packages clean unit-tests plain-unit-tests \
	fuzzers live-tests benches skeletons compile-commands FORCE
.SECONDARY:

-include $(patsubst %.o,%.d,$(BUILD)/user/tocsin.o $(OBJECTS) $(SANITIZED_OBJECTS) $(FUZZED_OBJECTS) $(LIVE_SUPPORT) \
	$(UNIT_SUPPORT) $(PLAIN_UNIT_SUPPORT))
-include $(SKELETONS:.skel.h=.bpf.d) $(TEST_SKELETONS:.skel.h=.bpf.d)
-include $(FUZZ_TARGETS:$(BUILD)/%=$(BUILD)/sanitize/%.d) $(FUZZ_TARGETS:$(BUILD)/%=$(BUILD)/fuzz/%.d) \
	$(PLAIN_UNIT_TESTS:$(BUILD)/plain/%=$(BUILD)/%.d)
-include $(UNIT_TESTS:$(BUILD)/%=$(BUILD)/sanitize/%.d) $(LIVE_TESTS:=.d) $(BENCHES:=.d)
