# SPDX-License-Identifier: MIT
# `make check`: the unit tests, one program a module, and the fuzzers' known inputs. What needs
# servers, or another compiler, runs from ./dev check.

check_PROGRAMS += tests/hcl/tree tests/db/driver
TESTS = $(FUZZ_REPLAYS)
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif
UNIT_TESTS = \
	tests/unit/body_test \
	tests/unit/cache_test \
	tests/unit/cache_threads_test \
	tests/unit/config_test \
	tests/unit/connections_test \
	tests/unit/etag_test \
	tests/unit/field_test \
	tests/unit/hcl_test \
	tests/unit/lease_rules_test \
	tests/unit/network_test \
	tests/unit/policy_test \
	tests/unit/request_test \
	tests/unit/response_test \
	tests/unit/runtime_list_test \
	tests/unit/sandbox_test \
	tests/unit/semver_test \
	tests/unit/token_test
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_TESTS_ENVIRONMENT = CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT;

UNIT_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_SRCDIR='"$(abs_top_srcdir)"'
UNIT_CFLAGS = $(libcatalog_a_CFLAGS) $(CMOCKA_CFLAGS)
UNIT_LDADD = $(CATALOG_LIBS) $(CMOCKA_LIBS)

tests_unit_body_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_body_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_body_test_LDADD = $(UNIT_LDADD)

tests_unit_cache_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_cache_test_LDADD = $(UNIT_LDADD)

tests_unit_cache_threads_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_threads_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_cache_threads_test_LDADD = $(UNIT_LDADD)

tests_unit_config_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_config_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_config_test_LDADD = $(UNIT_LDADD)

tests_unit_connections_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_connections_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_connections_test_LDADD = $(UNIT_LDADD)

tests_unit_etag_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_etag_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_etag_test_LDADD = $(UNIT_LDADD)

tests_unit_field_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_field_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_field_test_LDADD = $(UNIT_LDADD)

# The tests of these two fail one allocation after the other.
tests_unit_hcl_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_hcl_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_hcl_test_LDADD = $(UNIT_LDADD)
tests_unit_hcl_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc

tests_unit_policy_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_policy_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_policy_test_LDADD = $(UNIT_LDADD)
tests_unit_policy_test_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

tests_unit_lease_rules_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_lease_rules_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_lease_rules_test_LDADD = $(UNIT_LDADD)

tests_unit_network_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_network_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_network_test_LDADD = $(UNIT_LDADD)

tests_unit_request_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_request_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_request_test_LDADD = $(UNIT_LDADD)

tests_unit_response_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_response_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_response_test_LDADD = $(UNIT_LDADD)

tests_unit_runtime_list_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_runtime_list_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_runtime_list_test_LDADD = $(UNIT_LDADD)

tests_unit_sandbox_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_sandbox_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_sandbox_test_LDADD = $(UNIT_LDADD)

tests_unit_semver_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_semver_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_semver_test_LDADD = $(UNIT_LDADD)

tests_unit_token_test_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_token_test_CFLAGS = $(UNIT_CFLAGS)
tests_unit_token_test_LDADD = $(UNIT_LDADD)

# src/hcl.c against the original: run by tests/hcl/compare.
tests_hcl_tree_CFLAGS = $(libcatalog_a_CFLAGS)
tests_hcl_tree_LDADD = $(CATALOG_LIBS)

# src/db.c by itself: run by tests/e2e/refusals.py and servers.py.
tests_db_driver_CFLAGS = $(libcatalog_a_CFLAGS)
tests_db_driver_LDADD = $(CATALOG_LIBS)

EXTRA_DIST += %D%/data
