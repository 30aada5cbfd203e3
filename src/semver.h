/* SPDX-License-Identifier: MIT
 *
 * Versions of plugins: semantic ones as Vault takes them, which is what hashicorp/go-version's
 * NewSemver does: any number of segments, leading zeros, a `v` in front, `~` in identifiers.
 * Pure.
 */
#ifndef SEMVER_H
#define SEMVER_H

#include <stdbool.h>

enum {
    SEMVER_TEXT_MAX = 255, /* bytes of a text that is given; plugin_version_check */
    SEMVER_SIZE = SEMVER_TEXT_MAX + sizeof "v.0.0", /* of its canonical form, NUL included */
};

/* A version as it is stored: `v`, three segments at least, none with zeros in front. False: it
 * is none, or longer than SEMVER_TEXT_MAX. */
bool semver_canonical(char out[static SEMVER_SIZE], const char *text);

/* Whether the metadata says `builtin`, which no plugin that is registered may. */
bool semver_is_builtin(const char *version);

/* Less than, equal to or greater than 0, by precedence (semver.org, 11): metadata counts for
 * nothing, and what is missing ("" too) counts as 0. */
int semver_compare(const char *left, const char *right);

#endif
