/* SPDX-License-Identifier: MIT
 *
 * O_APPEND keeps whole writes apart. What it does not heal is a write that the file system takes
 * a part of, because it is full: the part is cut off again, and while one process may have to do
 * so no other may append. Hence the lock, which every process takes for every line. A part that
 * nobody could cut off, of a process that was killed, ends where the next line begins.
 */
#include "audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 2000 }; /* for another process that holds the lock */

struct audit_file {
    char *path;
    mode_t mode;
    pthread_mutex_t mutex; /* guards fd, and is held while a line is appended */
    int fd;
};

static bool fail(struct error *err, const char *path)
{
    return error_set(err, ERROR_MISCONFIGURED, "audit file_path: %s: %s", path, strerror(errno));
}

/* What lines can be appended to. False with errno. */
static bool is_fit(const struct stat *status)
{
    errno = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
    return S_ISREG(status->st_mode) || S_ISCHR(status->st_mode);
}

/* Without waiting for whoever might read a pipe. -1 with errno. */
static int open_path(const char *path, mode_t mode)
{
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct stat status;
    int fd = open(path, flags | O_CREAT | O_EXCL, mode);

    if (fd >= 0) {
        fchmod(fd, mode);
        return fd;
    }
    fd = errno == EEXIST ? open(path, flags) : -1;
    if (fd < 0 || (fstat(fd, &status) == 0 && is_fit(&status)))
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

struct audit_file *audit_file_open(const char *path, mode_t mode, struct error *err)
{
    struct audit_file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);

    if (!file || !copy) {
        error_exhausted(err);
        goto failed;
    }
    *file = (struct audit_file){.path = copy, .mode = mode, .fd = open_path(path, mode)};
    if (file->fd < 0) {
        fail(err, path);
        goto failed;
    }
    pthread_mutex_init(&file->mutex, NULL);
    return file;

failed:
    free(copy);
    free(file);
    return NULL;
}

void audit_file_close(struct audit_file *file)
{
    if (!file)
        return;
    close(file->fd);
    pthread_mutex_destroy(&file->mutex);
    free(file->path);
    free(file);
}

bool audit_file_check(const char *path, struct error *err)
{
    struct stat status;
    char *copy = strdup(path);
    bool exists = stat(path, &status) == 0;
    bool good = exists ? is_fit(&status) && access(path, R_OK | W_OK) == 0
                       : copy && errno == ENOENT && access(dirname(copy), W_OK | X_OK) == 0;

    if (!good)
        fail(err, path);
    free(copy);
    return good;
}

/* The mutex is held. False with errno. */
static bool reopen(struct audit_file *file)
{
    int fd = open_path(file->path, file->mode);

    if (fd < 0)
        return false;
    close(file->fd);
    file->fd = fd;
    return true;
}

bool audit_file_reopen(struct audit_file *file, struct error *err)
{
    pthread_mutex_lock(&file->mutex);
    bool done = reopen(file) || fail(err, file->path);
    pthread_mutex_unlock(&file->mutex);
    return done;
}

/* False with errno: somebody else does not let go. */
static bool lock(int fd)
{
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited_ms == PATIENCE_MS)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

/* Locks the file; one that was deleted meanwhile is made anew, or its lines would go nowhere.
 * *size becomes what it has. False with errno. */
static bool begin(struct audit_file *file, off_t *size)
{
    struct stat status;

    if (!lock(file->fd) || fstat(file->fd, &status) != 0)
        return false;
    if (status.st_nlink == 0 &&
        (!reopen(file) || !lock(file->fd) || fstat(file->fd, &status) != 0))
        return false;
    *size = status.st_size;
    return true;
}

/* False with errno, and *written tells how much of it there is. */
static bool put(int fd, const char *bytes, size_t length, size_t *written)
{
    for (*written = 0; *written < length;) {
        ssize_t count = write(fd, bytes + *written, length - *written);
        if (count > 0)
            *written += (size_t)count;
        else if (count == 0 || errno != EINTR)
            return false;
    }
    return true;
}

/* Appends, or leaves the file as it was. False with errno. */
static bool append(int fd, const char *line, size_t length, off_t size)
{
    size_t written = 0;
    char last = '\n';

    if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n' &&
        !put(fd, "\n", 1, &written))
        return false;
    size += (off_t)written;
    if (put(fd, line, length, &written))
        return true;
    int reason = errno;
    if (written > 0)
        (void)!ftruncate(fd, size); /* else the next line sees to it */
    errno = reason;
    return false;
}

bool audit_file_append(struct audit_file *file, const char *line, size_t length,
                       const char **why)
{
    off_t size;

    pthread_mutex_lock(&file->mutex);
    bool done = begin(file, &size) && append(file->fd, line, length, size);
    *why = done ? NULL : strerror(errno);
    flock(file->fd, LOCK_UN);
    pthread_mutex_unlock(&file->mutex);
    return done;
}
