# SPDX-License-Identifier: MIT
# What is built. Everything but the two programs' main files is one library, so that programs
# and tests link the same objects.

noinst_LIBRARIES += libcatalog.a
libcatalog_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(LIBPQ_CFLAGS) $(LIBCRYPTO_CFLAGS) $(FCGI_CFLAGS) $(SECCOMP_CFLAGS)
libcatalog_a_SOURCES = \
	%D%/arena.c %D%/arena.h \
	%D%/audit.c %D%/audit.h \
	%D%/audit_file.c %D%/audit_file.h \
	%D%/audit_record.c %D%/audit_record.h \
	%D%/authenticate.c %D%/authenticate.h \
	%D%/authorise.c %D%/authorise.h \
	%D%/base64.c %D%/base64.h \
	%D%/body.c %D%/body.h \
	%D%/cache.c %D%/cache.h \
	%D%/cache_gate.c %D%/cache_gate.h \
	%D%/cache_topic.c %D%/cache_topic.h \
	%D%/config.c %D%/config.h \
	%D%/connections.c %D%/connections.h \
	%D%/db.c %D%/db.h \
	%D%/db_connection.c %D%/db_connection.h \
	%D%/db_refusal.c %D%/db_refusal.h \
	%D%/db_servers.c %D%/db_servers.h \
	%D%/duration.c %D%/duration.h \
	%D%/error.c %D%/error.h \
	%D%/etag.c %D%/etag.h \
	%D%/exchange.c %D%/exchange.h \
	%D%/field.c %D%/field.h \
	%D%/go_json.c %D%/go_json.h \
	%D%/handler.h \
	%D%/handler_audit.c %D%/handler_audit.h \
	%D%/handler_capability.c %D%/handler_capability.h \
	%D%/handler_help.c %D%/handler_help.h \
	%D%/handler_metrics.c %D%/handler_metrics.h \
	%D%/handler_namespace.c %D%/handler_namespace.h \
	%D%/handler_plugin.c %D%/handler_plugin.h \
	%D%/handler_policy.c %D%/handler_policy.h \
	%D%/handler_runtime.c %D%/handler_runtime.h \
	%D%/handler_status.c %D%/handler_status.h \
	%D%/handler_token.c %D%/handler_token.h \
	%D%/handler_token_create.c \
	%D%/hash.c %D%/hash.h \
	%D%/hcl.c %D%/hcl.h \
	%D%/hcl_json.c %D%/hcl_json.h \
	%D%/hcl_tree.c %D%/hcl_tree.h \
	%D%/json_text.c %D%/json_text.h \
	%D%/listener.c %D%/listener.h \
	%D%/lease.c %D%/lease.h \
	%D%/lease_rules.c %D%/lease_rules.h \
	%D%/log.c %D%/log.h \
	%D%/metrics.c %D%/metrics.h \
	%D%/metrics_sheet.c %D%/metrics_sheet.h \
	%D%/namespace_path.c %D%/namespace_path.h \
	%D%/network.c %D%/network.h \
	%D%/notify.c %D%/notify.h \
	%D%/operation.c %D%/operation.h \
	%D%/peer.c %D%/peer.h \
	%D%/policy.c %D%/policy.h \
	%D%/policy_default.c %D%/policy_default.h \
	%D%/policy_names.c %D%/policy_names.h \
	%D%/policy_parameter.c %D%/policy_parameter.h \
	%D%/policy_parse.c %D%/policy_parse.h \
	%D%/policy_rule.c %D%/policy_rule.h \
	%D%/policy_set.c %D%/policy_set.h \
	%D%/process.c %D%/process.h \
	%D%/request.c %D%/request.h \
	%D%/response.c %D%/response.h \
	%D%/route.c %D%/route.h \
	%D%/runtime_list.c %D%/runtime_list.h \
	%D%/sandbox.h \
	%D%/sandbox_calls.c \
	%D%/sandbox_files.c \
	%D%/schema.c %D%/schema.h \
	%D%/secret.c %D%/secret.h \
	%D%/semver.c %D%/semver.h \
	%D%/server.c %D%/server.h \
	%D%/service.c %D%/service.h \
	%D%/store_audit.c %D%/store_audit.h \
	%D%/store_caller.c %D%/store_caller.h \
	%D%/store_history.c %D%/store_history.h \
	%D%/store_namespace.c %D%/store_namespace.h \
	%D%/store_namespace_api.c %D%/store_namespace_api.h \
	%D%/store_plugin.c %D%/store_plugin.h \
	%D%/store_policy.c %D%/store_policy.h \
	%D%/store_policy_api.c %D%/store_policy_api.h \
	%D%/store_runtime.c %D%/store_runtime.h \
	%D%/store_runtime_list.c %D%/store_runtime_list.h \
	%D%/store_token.c %D%/store_token.h \
	%D%/store_token_api.c %D%/store_token_api.h \
	%D%/text.c %D%/text.h \
	%D%/token_auth.c %D%/token_auth.h \
	%D%/utf8.c %D%/utf8.h

CATALOG_LIBS = libcatalog.a $(JANSSON_LIBS) $(LIBPQ_LIBS) $(LIBCRYPTO_LIBS) $(FCGI_LIBS) $(SECCOMP_LIBS)

sbin_PROGRAMS += runtime-catalogd
runtime_catalogd_CFLAGS = $(libcatalog_a_CFLAGS)
runtime_catalogd_SOURCES = %D%/worker.c
runtime_catalogd_LDADD = $(CATALOG_LIBS)

bin_PROGRAMS += runtime-catalog
runtime_catalog_CFLAGS = $(libcatalog_a_CFLAGS)
runtime_catalog_SOURCES = \
	%D%/tool.c %D%/tool.h \
	%D%/tool_audit.c \
	%D%/tool_flags.c \
	%D%/tool_history.c \
	%D%/tool_io.c \
	%D%/tool_migrate.c \
	%D%/tool_namespace.c \
	%D%/tool_policy.c \
	%D%/tool_policy_cases.c \
	%D%/tool_policy_test.c \
	%D%/tool_status.c \
	%D%/tool_token.c \
	%D%/tool_token_issue.c
runtime_catalog_LDADD = $(CATALOG_LIBS)

dist_man_MANS = %D%/runtime-catalogd.8 %D%/runtime-catalog.1 %D%/runtime-catalog.conf.5

# A sample, not a configuration: `make install` never overwrites what an operator wrote.
exampledir = $(docdir)
dist_example_DATA = %D%/runtime-catalog.conf.sample

# systemd's files: one worker, and a template for several. What differs between the two is filled
# in here, because make alone knows where programs are installed.
UNIT = sed -e 's|[@]sbindir[@]|$(sbindir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g'
UNIT_OF_ONE = $(UNIT) -e 's|[@]UNIT[@]|runtime-catalogd|g' -e 's|[@]OF_INSTANCE[@]||g' \
	-e 's|[@]CONFIGURATION[@]|runtime-catalog|g' -e 's|[@]SOCKET[@]|worker|g'
UNIT_OF_MANY = $(UNIT) -e 's|[@]UNIT[@]|runtime-catalogd@%i|g' -e 's|[@]OF_INSTANCE[@]|: %i|g' \
	-e 's|[@]CONFIGURATION[@]|%i|g' -e 's|[@]SOCKET[@]|%i|g'

%D%/runtime-catalogd.service: %D%/runtime-catalogd.service.in Makefile
	$(AM_V_GEN)$(UNIT_OF_ONE) $< >$@
%D%/runtime-catalogd.socket: %D%/runtime-catalogd.socket.in Makefile
	$(AM_V_GEN)$(UNIT_OF_ONE) $< >$@
%D%/runtime-catalogd@.service: %D%/runtime-catalogd.service.in Makefile
	$(AM_V_GEN)$(UNIT_OF_MANY) $< >$@
%D%/runtime-catalogd@.socket: %D%/runtime-catalogd.socket.in Makefile
	$(AM_V_GEN)$(UNIT_OF_MANY) $< >$@
%D%/sysusers/runtime-catalog.conf: %D%/sysusers.conf Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $< $@
%D%/tmpfiles/runtime-catalog.conf: %D%/tmpfiles.conf Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $< $@

systemdsystemunit_DATA = \
	%D%/runtime-catalogd.service \
	%D%/runtime-catalogd.socket \
	%D%/runtime-catalogd@.service \
	%D%/runtime-catalogd@.socket
sysusers_DATA = %D%/sysusers/runtime-catalog.conf
tmpfiles_DATA = %D%/tmpfiles/runtime-catalog.conf
CLEANFILES = $(systemdsystemunit_DATA) $(sysusers_DATA) $(tmpfiles_DATA)
EXTRA_DIST += \
	%D%/runtime-catalogd.service.in \
	%D%/runtime-catalogd.socket.in \
	%D%/sysusers.conf \
	%D%/tmpfiles.conf

# Under the name by which logrotate finds it. One that is there already may be the operator's.
EXTRA_DIST += %D%/logrotate.conf
LOGROTATE = $(DESTDIR)$(sysconfdir)/logrotate.d/runtime-catalog
install-data-local: install-logrotate
install-logrotate:
	$(MKDIR_P) "$(DESTDIR)$(sysconfdir)/logrotate.d"
	test -e "$(LOGROTATE)" || $(INSTALL_DATA) "$(srcdir)/%D%/logrotate.conf" "$(LOGROTATE)"
uninstall-local: uninstall-logrotate
uninstall-logrotate:
	rm -f "$(LOGROTATE)"
.PHONY: install-logrotate uninstall-logrotate
