# SPDX-License-Identifier: MIT
# `make fuzz` makes the fuzzers, with clang and --enable-sanitizers=fuzzer-no-link,address,undefined;
# tests/fuzz/run runs one. The replays are tests: they take the same functions through inputs that
# are known.

EXTRA_PROGRAMS += $(FUZZERS)
FUZZERS = \
	tests/fuzz/hcl_fuzz \
	tests/fuzz/policy_fuzz \
	tests/fuzz/request_fuzz
FUZZ_REPLAYS = \
	tests/fuzz/hcl_replay \
	tests/fuzz/policy_replay \
	tests/fuzz/request_replay
check_PROGRAMS += $(FUZZ_REPLAYS)
FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_SRCDIR='"$(abs_top_srcdir)"'
FUZZ_CFLAGS = $(libcatalog_a_CFLAGS)
FUZZ_LDADD = $(CATALOG_LIBS)

fuzz: $(FUZZERS)
.PHONY: fuzz

tests_fuzz_hcl_fuzz_SOURCES = %D%/hcl_fuzz.c %D%/fuzz.c %D%/fuzz.h
tests_fuzz_hcl_fuzz_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_hcl_fuzz_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_hcl_fuzz_LDADD = $(FUZZ_LDADD)
tests_fuzz_hcl_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_hcl_replay_SOURCES = $(tests_fuzz_hcl_fuzz_SOURCES) %D%/replay.c
tests_fuzz_hcl_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DTARGET='"hcl"'
tests_fuzz_hcl_replay_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_hcl_replay_LDADD = $(FUZZ_LDADD)

tests_fuzz_policy_fuzz_SOURCES = %D%/policy_fuzz.c %D%/fuzz.c %D%/fuzz.h
tests_fuzz_policy_fuzz_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_policy_fuzz_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_policy_fuzz_LDADD = $(FUZZ_LDADD)
tests_fuzz_policy_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_policy_replay_SOURCES = $(tests_fuzz_policy_fuzz_SOURCES) %D%/replay.c
tests_fuzz_policy_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DTARGET='"policy"'
tests_fuzz_policy_replay_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_policy_replay_LDADD = $(FUZZ_LDADD)

tests_fuzz_request_fuzz_SOURCES = %D%/request_fuzz.c %D%/fuzz.c %D%/fuzz.h
tests_fuzz_request_fuzz_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_request_fuzz_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_request_fuzz_LDADD = $(FUZZ_LDADD)
tests_fuzz_request_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_request_replay_SOURCES = $(tests_fuzz_request_fuzz_SOURCES) %D%/replay.c
tests_fuzz_request_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DTARGET='"request"'
tests_fuzz_request_replay_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_request_replay_LDADD = $(FUZZ_LDADD)

EXTRA_DIST += \
	%D%/corpus %D%/regression %D%/run \
	%D%/hcl.dict %D%/policy.dict %D%/request.dict
