# SPDX-License-Identifier: MIT
# `make bench` makes what ./dev bench needs beside the programs.

EXTRA_PROGRAMS += $(BENCHES)
BENCHES = \
	tests/bench/policy_bench \
	tests/bench/responder \
	tests/bench/workless

bench: $(BENCHES)
.PHONY: bench

tests_bench_policy_bench_CFLAGS = $(libcatalog_a_CFLAGS)
tests_bench_policy_bench_LDADD = $(CATALOG_LIBS)
tests_bench_responder_CFLAGS = $(AM_CFLAGS) $(FCGI_CFLAGS)
tests_bench_responder_LDADD = $(FCGI_LIBS)
tests_bench_workless_CFLAGS = $(libcatalog_a_CFLAGS)
tests_bench_workless_LDADD = $(CATALOG_LIBS)
