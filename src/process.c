/* SPDX-License-Identifier: MIT */
#include "process.h"

#include "secret.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* The kernel shows what lies where it put the environment at the start. A password in there,
 * PGPASSWORD, is needed as long as connections are made, so the texts move. */
static bool move_environment(void)
{
    for (char **entry = environ; *entry; entry++) {
        char *copy = strdup(*entry);
        if (!copy)
            return false;
        secret_wipe(*entry, strlen(*entry));
        *entry = copy;
    }
    return true;
}

bool process_hide(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    json_set_alloc_funcs(malloc, secret_free);
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           move_environment();
}
