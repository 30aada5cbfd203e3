/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Known since the third version of Landlock, Linux 6.2. Before, the filter of system calls alone
 * keeps files from being emptied. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
enum { VERSION_WITH_TRUNCATE = 3 };

/* All that changes a file system, as far as the first version knows it. */
enum {
    MAKE_AND_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG,
    REMOVE = LANDLOCK_ACCESS_FS_REMOVE_FILE,
    CHANGE = MAKE_AND_WRITE | REMOVE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |
             LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
             LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
};

/* LANDLOCK_ACCESS_FS_TRUNCATE where the kernel knows it, else 0. */
static uint64_t truncation(void)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return version >= VERSION_WITH_TRUNCATE ? LANDLOCK_ACCESS_FS_TRUNCATE : 0;
}

static bool add_folder(int rules, const struct sandbox_folder *folder, struct error *err)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = folder->writable ? MAKE_AND_WRITE | truncation() : REMOVE,
        .parent_fd = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC),
    };
    bool added = beneath.parent_fd >= 0 && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
                                                   &beneath, 0) == 0;

    if (!added)
        error_set(err, ERROR_MISCONFIGURED, "%s: %s", folder->path, strerror(errno));
    if (beneath.parent_fd >= 0)
        close(beneath.parent_fd);
    return added;
}

bool sandbox_enter_files(const struct sandbox_folder folders[], size_t count, struct error *err)
{
    struct landlock_ruleset_attr attributes = {.handled_access_fs = CHANGE | truncation()};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    bool entered = rules >= 0;

    if (!entered) {
        log_warn("this kernel does not confine what files may be written (Landlock): %s",
                 strerror(errno));
        return true;
    }
    for (size_t i = 0; entered && i < count; i++)
        entered = add_folder(rules, &folders[i], err);
    if (entered && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                    syscall(SYS_landlock_restrict_self, rules, 0) != 0))
        entered = error_set(err, ERROR_MISCONFIGURED, "landlock: %s", strerror(errno));
    close(rules);
    return entered;
}
