/* SPDX-License-Identifier: MIT
 *
 * O_APPEND keeps whole writes apart. What it does not heal is a write that the file system takes
 * a part of, because it is full: the part is cut off again, and while one process may have to do
 * so no other may append. Hence the lock, which every process takes for every line. A part that
 * nobody could cut off, of a process that was killed, ends where the next line begins.
 *
 * flock(2) asks no more than a descriptor: whoever may read a file can lock it. So it is not the
 * log that is locked but a file beside it, which its owner alone can open. The worker waits for
 * it for a moment only, its own threads included, and no longer while nobody lets go.
 */
#include "audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 2000, /* for other threads and other processes, together */
    SHORT_MS = 20,      /* for other processes, once one has not let go */
};

struct audit_file {
    char *path, *lock_path;
    mode_t mode;
    pthread_mutex_t mutex; /* guards taken */
    pthread_cond_t released;
    bool taken; /* it is somebody's turn, whose alone is what follows */
    int fd, lock;          /* lock: -1 where nothing is to be cut off, of a device */
    bool stuck;            /* the last line did not get the lock */
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

/* NULL: no memory. */
static char *lock_path_of(const char *path)
{
    static const char suffix[] = ".lock";
    char *lock_path = malloc(strlen(path) + sizeof suffix);

    return lock_path ? strcat(strcpy(lock_path, path), suffix) : NULL;
}

/* Nobody else's to open, whatever the mode of the log, and whoever made it. -1 with errno. */
static int open_lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd >= 0)
        fchmod(fd, 0600);
    return fd;
}

static void close_any(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* It is our turn, or nobody has the file yet. False with errno, and *failed is what it is about;
 * the files stay the old ones. */
static bool reopen(struct audit_file *file, const char **failed)
{
    struct stat status;
    int fd = open_path(file->path, file->mode), lock = -1;
    bool is_device = fd >= 0 && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);

    *failed = fd < 0 ? file->path : file->lock_path;
    if (fd < 0 || (!is_device && (lock = open_lock(file->lock_path)) < 0)) {
        int reason = errno;
        close_any(fd);
        errno = reason;
        return false;
    }
    close_any(file->fd);
    close_any(file->lock);
    file->fd = fd;
    file->lock = lock;
    return true;
}

struct audit_file *audit_file_open(const char *path, mode_t mode, struct error *err)
{
    struct audit_file *file = calloc(1, sizeof *file);
    pthread_condattr_t attributes;
    const char *failed;

    if (!file) {
        error_exhausted(err);
        return NULL;
    }
    *file = (struct audit_file){.path = strdup(path), .lock_path = lock_path_of(path),
                                .mode = mode, .fd = -1, .lock = -1};
    pthread_mutex_init(&file->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&file->released, &attributes);
    pthread_condattr_destroy(&attributes);
    if (file->path && file->lock_path && reopen(file, &failed))
        return file;
    if (file->path && file->lock_path)
        fail(err, failed);
    else
        error_exhausted(err);
    audit_file_close(file);
    return NULL;
}

void audit_file_close(struct audit_file *file)
{
    if (!file)
        return;
    close_any(file->fd);
    close_any(file->lock);
    pthread_cond_destroy(&file->released);
    pthread_mutex_destroy(&file->mutex);
    free(file->path);
    free(file->lock_path);
    free(file);
}

/* Whether there is something fit to append to, or a folder to make it in. *device: it needs no lock.
 * False with errno. */
static bool can_have(const char *path, bool *device)
{
    struct stat status;
    bool exists = stat(path, &status) == 0;
    char *copy = NULL;

    *device = exists && S_ISCHR(status.st_mode);
    if (exists)
        return is_fit(&status) && access(path, R_OK | W_OK) == 0;
    bool can = errno == ENOENT && (copy = strdup(path)) && access(dirname(copy), W_OK | X_OK) == 0;
    free(copy); /* which leaves errno alone */
    return can;
}

bool audit_file_check(const char *path, struct error *err)
{
    char *lock_path = lock_path_of(path);
    bool is_device, ignored, good = lock_path || error_exhausted(err);

    if (good && !can_have(path, &is_device))
        good = fail(err, path);
    if (good && !is_device && !can_have(lock_path, &ignored))
        good = fail(err, lock_path);
    free(lock_path);
    return good;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits for the threads before. False: for too long. Not pthread_mutex_clocklock(), which
 * ThreadSanitizer does not know. */
static bool take_turn_until(struct audit_file *file, int64_t until_ms)
{
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int failed = 0;

    pthread_mutex_lock(&file->mutex);
    while (file->taken && failed != ETIMEDOUT)
        failed = pthread_cond_timedwait(&file->released, &file->mutex, &until);
    bool ours = !file->taken;
    file->taken = true;
    pthread_mutex_unlock(&file->mutex);
    return ours;
}

static void take_turn(struct audit_file *file)
{
    while (!take_turn_until(file, now_ms() + PATIENCE_MS))
        ;
}

static void end_turn(struct audit_file *file)
{
    pthread_mutex_lock(&file->mutex);
    file->taken = false;
    pthread_cond_signal(&file->released);
    pthread_mutex_unlock(&file->mutex);
}

bool audit_file_reopen(struct audit_file *file, struct error *err)
{
    const char *failed;

    take_turn(file);
    bool done = reopen(file, &failed) || fail(err, failed);
    end_turn(file);
    return done;
}

/* False with errno: somebody else does not let go. */
static bool lock(struct audit_file *file, int64_t until_ms)
{
    while (file->lock >= 0 && flock(file->lock, LOCK_EX | LOCK_NB) != 0) {
        file->stuck = errno == EWOULDBLOCK && now_ms() >= until_ms;
        if (file->stuck || (errno != EWOULDBLOCK && errno != EINTR))
            return false;
        poll(NULL, 0, 1);
    }
    file->stuck = false;
    return true;
}

/* False with errno. *size becomes what the log has. *gone: it or its lock was deleted. */
static bool inspect(const struct audit_file *file, off_t *size, bool *gone)
{
    struct stat status, beside = {.st_nlink = 1};

    if (fstat(file->fd, &status) != 0 || (file->lock >= 0 && fstat(file->lock, &beside) != 0))
        return false;
    *size = status.st_size;
    *gone = status.st_nlink == 0 || beside.st_nlink == 0;
    return true;
}

/* Locks; a file that was deleted meanwhile is made anew, or its lines would go nowhere. *size
 * becomes what the log has. False with errno. */
static bool begin(struct audit_file *file, int64_t until_ms, off_t *size)
{
    const char *ignored;
    bool gone;

    if (!lock(file, until_ms) || !inspect(file, size, &gone))
        return false;
    return !gone || (reopen(file, &ignored) && lock(file, until_ms) && inspect(file, size, &gone));
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
    int64_t until_ms = now_ms() + PATIENCE_MS;
    off_t size;

    if (!take_turn_until(file, until_ms)) {
        *why = strerror(ETIMEDOUT);
        return false;
    }
    if (file->stuck && now_ms() + SHORT_MS < until_ms)
        until_ms = now_ms() + SHORT_MS;
    bool done = begin(file, until_ms, &size) && append(file->fd, line, length, size);
    *why = done ? NULL : strerror(errno);
    if (file->lock >= 0)
        flock(file->lock, LOCK_UN);
    end_turn(file);
    return done;
}
