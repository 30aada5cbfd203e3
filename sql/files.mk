# SPDX-License-Identifier: MIT
MIGRATIONS = \
	%D%/migrations/0001_schema_version.sql \
	%D%/migrations/0002_change.sql \
	%D%/migrations/0003_namespace.sql \
	%D%/migrations/0004_runtime.sql \
	%D%/migrations/0005_plugin.sql \
	%D%/migrations/0006_policy.sql \
	%D%/migrations/0007_token.sql \
	%D%/migrations/0008_authenticate.sql \
	%D%/migrations/0009_endpoints.sql \
	%D%/migrations/0010_plugin_endpoints.sql \
	%D%/migrations/0011_namespaces.sql \
	%D%/migrations/0012_follow.sql \
	%D%/migrations/0013_tidy_namespace.sql \
	%D%/migrations/0014_migrations.sql \
	%D%/migrations/0015_operator.sql \
	%D%/migrations/0016_record.sql \
	%D%/migrations/0017_memory.sql \
	%D%/migrations/0018_audit.sql \
	%D%/migrations/0019_indexes.sql \
	%D%/migrations/0020_refusals.sql \
	%D%/migrations/0021_swift.sql
QUERIES = \
	%D%/queries/partition.sql \
	%D%/queries/partition-add.sql \
	%D%/queries/partition-drop.sql \
	%D%/queries/retention.sql \
	%D%/queries/sizes.sql \
	%D%/queries/who-changed-what.sql
