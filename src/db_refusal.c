/* SPDX-License-Identifier: MIT */
#include "db_refusal.h"

#include "text.h"

#include <string.h>

#define AWAY "storage is not available"
#define BUSY "storage is busy"
#define READ_ONLY "storage is read-only"
#define FAULT "internal error"
#define NO_NAMESPACE "the namespace does not exist"

/* What PostgreSQL refuses, and what becomes of it: the first row that fits counts, all
 * else is ERROR_INTERNAL. A remedy is used only where it is certain that nothing was
 * committed. SQLSTATEs are those of the PostgreSQL manual, appendix A. sql/README.md has
 * the same table for the DBA. */
static const struct refusal {
    const char *
        key; /* a constraint's name, a SQLSTATE, or the first two characters of a class */
    enum error_code code;
    enum remedy remedy;
    const char *text; /* for the client; NULL: the message, which our own trigger makes */
} refusals[] = {
    {"schema_version_pkey", ERROR_ALREADY_DONE, REMEDY_NONE,
     "this migration has run already"},
    {"schema_version_version_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"schema_version_name_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"schema_version_oldest_worker_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"schema_version_checksum_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},

    {"change_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},

    {"audit_salt_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"audit_salt_id_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"audit_salt_salt_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},

    {"namespace_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"namespace_path_key", ERROR_ALREADY_DONE, REMEDY_NONE, "namespace already exists"},
    {"namespace_id_path_key", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"namespace_id_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"namespace_path_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "namespace: letters, digits, '_', '-' and '.', which is not the first, 512 bytes of "
     "path at "
     "most"},
    {"namespace_reserved_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "root, sys, audit, auth, cubbyhole and identity are reserved paths and cannot be "
     "used as "
     "namespace names"},
    {"namespace_max_runtimes_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "max_runtimes: cannot be negative"},
    {"namespace_custom_metadata_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "custom_metadata: 4096 bytes at most"},
    /* A namespace that went while somebody was about to put something into it. */
    {"namespace_parent_fkey", ERROR_NOT_FOUND, REMEDY_NONE, NO_NAMESPACE},
    {"runtime_namespace_fkey", ERROR_NOT_FOUND, REMEDY_NONE, NO_NAMESPACE},
    {"plugin_namespace_fkey", ERROR_NOT_FOUND, REMEDY_NONE, NO_NAMESPACE},
    {"policy_namespace_fkey", ERROR_NOT_FOUND, REMEDY_NONE, NO_NAMESPACE},
    {"token_namespace_fkey", ERROR_NOT_FOUND, REMEDY_NONE, NO_NAMESPACE},

    {"runtime_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"runtime_limit", ERROR_BAD_REQUEST, REMEDY_NONE, NULL},
    {"runtime_name_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "name: 255 bytes at most, letters, digits, '_', '-' and '.', no '..'"},
    {"runtime_type_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "type: \"container\" is the only one"},
    {"runtime_oci_runtime_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "oci_runtime: 4096 bytes at most"},
    {"runtime_cgroup_parent_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "cgroup_parent: 4096 bytes at most"},
    {"runtime_cpu_nanos_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "runtime cpu in nanos cannot be negative"},
    {"runtime_memory_bytes_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "runtime memory in bytes cannot be negative"},

    {"plugin_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"plugin_runtime_fkey", ERROR_IN_USE, REMEDY_NONE, "the runtime is still in use"},
    {"plugin_runtime_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"plugin_type_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "type: must be \"auth\", \"database\", \"secret\" or \"unknown\""},
    {"plugin_name_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "name: 255 bytes of printable ASCII at most, without blanks and without \"..\""},
    {"plugin_version_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "version: 255 bytes of printable ASCII at most"},
    {"plugin_command_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "command: 4096 bytes at most"},
    {"plugin_args_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "args: 4096 bytes at most, all together"},
    {"plugin_env_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "env: 4096 bytes at most, all together"},
    {"plugin_sha256_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "sha256: must be 64 hexadecimal digits"},
    {"plugin_oci_image_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "oci_image: 4096 bytes at most"},

    {"policy_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"policy_name_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "name: 255 bytes of printable ASCII at most, no upper case, not \"root\""},
    {"policy_text_check", ERROR_BAD_REQUEST, REMEDY_NONE, "policy: 524288 bytes at most"},

    {"token_pkey", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"token_accessor_key", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    /* The caller's own token, parent of what it issues, went at this very moment. */
    {"token_parent_fkey", ERROR_PERMISSION_DENIED, REMEDY_NONE, ERROR_TEXT_INVALID_TOKEN},
    {"token_parent_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"token_hash_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"token_accessor_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"token_path_check", ERROR_INTERNAL, REMEDY_NONE, FAULT},
    {"token_policies_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "policies: 4096 bytes at most"},
    {"token_display_name_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "display_name: 4096 bytes at most"},
    {"token_meta_check", ERROR_BAD_REQUEST, REMEDY_NONE, "meta: 4096 bytes at most"},
    {"token_ttl_check", ERROR_BAD_REQUEST, REMEDY_NONE, "ttl: cannot be negative"},
    {"token_explicit_max_ttl_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "explicit_max_ttl: cannot be negative"},
    {"token_period_check", ERROR_BAD_REQUEST, REMEDY_NONE, "period: cannot be negative"},
    {"token_uses_left_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "num_uses: cannot be negative"},
    {"token_bound_cidrs_check", ERROR_BAD_REQUEST, REMEDY_NONE,
     "bound_cidrs: at least one network, or none given"},

    /* What somebody else's table refers to. RESTRICT is 23001 from PostgreSQL 18 on. */
    {"23001", ERROR_IN_USE, REMEDY_NONE, "it is still in use"},
    {"23503", ERROR_IN_USE, REMEDY_NONE, "it is still in use"},

    /* No answer at all counts as 08006: what was asked for may have happened. */
    {"08", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY},
    {"0A000", ERROR_INTERNAL, REMEDY_RECONNECT,
     FAULT}, /* a plan from before a migration */
    {"25006", ERROR_STORAGE_READ_ONLY, REMEDY_RECONNECT, READ_ONLY}, /* a standby */
    {"26000", ERROR_INTERNAL, REMEDY_UNPREPARED, FAULT}, /* a pooler lost the statement */
    {"28", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY},       /* may not connect */
    {"3D000", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY},    /* no such database */
    {"40001", ERROR_STORAGE_AWAY, REMEDY_RETRY, BUSY},   /* serialization failure */
    {"40P01", ERROR_STORAGE_AWAY, REMEDY_RETRY, BUSY},   /* deadlock */
    {"40", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY},       /* 40003: completion unknown */
    {"42703", ERROR_STORAGE_AWAY, REMEDY_RECONNECT,
     AWAY}, /* no such column, since a migration */
    {"42883", ERROR_STORAGE_AWAY, REMEDY_RECONNECT, AWAY}, /* function, likewise */
    {"42P01", ERROR_STORAGE_AWAY, REMEDY_RECONNECT, AWAY}, /* table, likewise */
    {"42P05", ERROR_INTERNAL, REMEDY_UNPREPARED,
     FAULT}, /* a pooler's other client has it */
    {"53100", ERROR_STORAGE_AWAY, REMEDY_NONE, "storage is full"},
    {"53300", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY}, /* too many connections */
    {"53", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY},    /* out of memory and the like */
    {"55P03", ERROR_STORAGE_AWAY, REMEDY_NONE,
     BUSY}, /* a lock, not within lock_timeout */
    {"57014", ERROR_STORAGE_AWAY, REMEDY_NONE, BUSY},  /* not within statement_timeout */
    {"57P01", ERROR_STORAGE_AWAY, REMEDY_RETRY, AWAY}, /* ended by an administrator */
    {"57", ERROR_STORAGE_AWAY, REMEDY_NONE,
     AWAY}, /* a crash, starting up, shutting down */
    {"58", ERROR_STORAGE_AWAY, REMEDY_NONE, AWAY}, /* a system error, such as I/O */
    {"XX000", ERROR_INTERNAL, REMEDY_RECONNECT,
     FAULT}, /* what a migration replaces right now */
};

bool db_refusal_set(struct error *err, enum error_code code, const char *detail)
{
    error_set(err, code, "%s", code == ERROR_STORAGE_READ_ONLY ? READ_ONLY : AWAY);
    text_format(err->detail, sizeof err->detail, "%s", detail);
    return false;
}

static const struct refusal *refusal_of(const char *sqlstate, const char *constraint)
{
    static const struct refusal other = {"", ERROR_INTERNAL, REMEDY_NONE, FAULT};

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const char *key = refusals[i].key;
        if (strchr(key, '_') ? strcmp(constraint, key) == 0
                             : text_starts_with(sqlstate, key))
            return &refusals[i];
    }
    return &other;
}

static const char *field_of(const PGresult *result, int field)
{
    const char *text = PQresultErrorField(result, field);

    return text ? text : "";
}

/* The primary message alone: PostgreSQL's DETAIL may quote the row. */
enum remedy db_refusal_read(const PGresult *result, bool completed, struct error *err)
{
    const char *sqlstate = field_of(result, PG_DIAG_SQLSTATE);
    const char *message = field_of(result, PG_DIAG_MESSAGE_PRIMARY);
    const struct refusal *refusal = refusal_of(*sqlstate ? sqlstate : "08006",
                                               field_of(result, PG_DIAG_CONSTRAINT_NAME));
    bool ended = strcmp(field_of(result, PG_DIAG_SEVERITY_NONLOCALIZED), "ERROR") != 0;

    error_set(err, refusal->code, "%s", refusal->text ? refusal->text : message);
    text_format(err->detail, sizeof err->detail, "SQLSTATE %s: %s", sqlstate,
                *sqlstate ? message : "the connection was lost");
    /* A session that ends in the middle of its COMMIT does not say whether it got there.
     */
    return completed && ended ? REMEDY_NONE : refusal->remedy;
}
