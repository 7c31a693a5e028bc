# Two commands for a newcomer: `make chat` and `make test`. Each installs what it needs, builds, and can be repeated.

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
MODEL ?= smollm2-135m
export NINJA_STATUS = [%f/%t, %es] 

.PHONY: help chat test build train test-train test-asan test-tsan test-arm fuzz format tidy install clean

help:
	@echo "make chat       set up, build, fetch the default model and chat with it (MODEL=name for another)"
	@echo "make test       set up, build and run every test"
	@echo "make build      set up and build the program: build/hone"
	@echo "make train      install libtorch and build build/hone-torch, which hone train needs"
	@echo "make test-train the tests of training, which make test leaves out where libtorch is not installed"
	@echo "make install    install the program and the library below PREFIX ($(PREFIX))"
	@echo "make test-asan  the tests under the address and undefined-behaviour sanitizers (build-asan)"
	@echo "make test-tsan  the tests under the thread sanitizer (build-tsan)"
	@echo "make test-arm   the kernel, format and model tests for 64-bit Arm, in an emulator (build-arm)"
	@echo "make fuzz       fuzz the parsers with libFuzzer (build-fuzz; SECONDS_EACH=60)"
	@echo "make format     clang-format over all sources"
	@echo "make tidy       clang-tidy over src and cli"

# The first configuration of `make build` leaves the tests out, so that it needs nothing of theirs; once `make test` has
# turned them on they stay on.
build:
	@scripts/set_up.sh build
	@test -f build/build.ninja || cmake --preset release -DHONE_BUILD_TESTS=OFF --log-level=WARNING
	@cmake --build build -j $(JOBS) --target hone

chat:
	@scripts/set_up.sh chat
	@$(MAKE) --no-print-directory build
	@build/hone pull $(MODEL)
	@build/hone chat $(MODEL)

test:
	@scripts/set_up.sh test
	@cmake --preset release -DHONE_BUILD_TESTS=ON --log-level=WARNING
	@cmake --build build -j $(JOBS)
	@ctest --test-dir build -j $(JOBS) --output-on-failure --no-tests=error

# libtorch is fetched and used by these two alone; where it is installed already, make test builds what needs it too.
train:
	@scripts/set_up.sh train
	@cmake --preset release $$(test -f build/build.ninja || echo -DHONE_BUILD_TESTS=OFF) -DHONE_TORCH=ON --log-level=WARNING
	@cmake --build build -j $(JOBS) --target hone hone_torch

test-train:
	@scripts/set_up.sh test-train
	@cmake --preset release -DHONE_BUILD_TESTS=ON -DHONE_TORCH=ON --log-level=WARNING
	@cmake --build build -j $(JOBS) --target test_training_text test_training_language test_training_language_torch
	@ctest --test-dir build/tests/training -j $(JOBS) --output-on-failure --no-tests=error

test-asan test-tsan: test-%:
	@scripts/set_up.sh test
	@cmake --preset $* --log-level=WARNING
	@cmake --build build-$* -j $(JOBS)
	@ctest --test-dir build-$* -j $(JOBS) --output-on-failure --no-tests=error

ARM_TESTS = core/kernels core/kernels/cpu core/kernels/reference core/formats/gguf core/formats/safetensors \
  core/formats/template core/formats/tokenizer language/kvcache language/models
test-arm:
	@scripts/set_up.sh arm
	@scripts/arm_sysroot.sh build-arm/sysroot
	@cmake --preset arm --log-level=WARNING
	@cmake --build build-arm -j $(JOBS) --target $(foreach test,$(ARM_TESTS),test_$(subst /,_,$(test)))
	@for test in $(ARM_TESTS); do ctest --test-dir build-arm/tests/$$test -j $(JOBS) --output-on-failure --no-tests=error || exit 1; done

SECONDS_EACH ?= 60
fuzz:
	@scripts/set_up.sh fuzz
	@cmake --preset fuzz --log-level=WARNING
	@cmake --build build-fuzz -j $(JOBS) --target fuzz
	@for program in build-fuzz/fuzz/fuzz_*; do \
	  [ -x $$program ] && [ -f $$program ] || continue; \
	  name=$${program##*/fuzz_}; echo "$$name for $(SECONDS_EACH) s"; mkdir -p build-fuzz/corpus/$$name; \
	  $$program -max_total_time=$(SECONDS_EACH) -timeout=10 -rss_limit_mb=2048 \
	    -artifact_prefix=build-fuzz/$$name- build-fuzz/corpus/$$name fuzz/corpus/$$name || exit 1; \
	done

format:
	@scripts/set_up.sh format
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

tidy:
	@scripts/set_up.sh tidy
	@cmake --preset release -DHONE_BUILD_TESTS=ON --log-level=WARNING
	@git ls-files 'src/*.cc' 'cli/*.cc' | xargs -P $(JOBS) -n 1 clang-tidy -p build --quiet

install: build
	@cmake --install build --prefix $(PREFIX)

clean:
	@rm -rf build build-debug build-asan build-tsan build-arm build-fuzz
