/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include "notify.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char scheme[] = "unix:"; /* of an address */

static bool fail(struct error *err, const char *what)
{
    return error_set(err, ERROR_MISCONFIGURED, "%s: %s", what, strerror(errno));
}

/* A socket file that nobody answers on is left over from a worker that was killed. */
static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale = probe >= 0 && lstat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode) &&
                 connect(probe, (const struct sockaddr *)address, sizeof *address) != 0 &&
                 errno == ECONNREFUSED;

    if (probe >= 0)
        close(probe);
    errno = EADDRINUSE;
    return stale && unlink(address->sun_path) == 0;
}

static bool listen_on(int fd, struct own *own, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *any = (const struct sockaddr *)&address;
    struct stat file;

    strcpy(address.sun_path, own->path);
    /* Made without rights, so that nobody connects before the mode is set. */
    mode_t mask = umask(0777);
    bool bound = bind(fd, any, sizeof address) == 0 ||
                 (errno == EADDRINUSE && remove_stale(&address) &&
                  bind(fd, any, sizeof address) == 0);
    umask(mask);
    if (!bound || lstat(own->path, &file) != 0)
        return false;
    own->device = file.st_dev;
    own->inode = file.st_ino;
    return listen(fd, SOMAXCONN) == 0 && chmod(own->path, mode) == 0;
}

static bool make(struct listener *listener, const struct listener_options *options,
                 struct error *err)
{
    struct own *own = &listener->own;

    if (!text_format(own->path, sizeof own->path, "%s", options->address + strlen(scheme))) {
        errno = ENAMETOOLONG;
        return fail(err, options->address);
    }
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd >= 0 && listen_on(listener->fd, own, options->mode))
        return true;
    fail(err, own->path);
    if (listener->fd >= 0)
        close(listener->fd);
    return false;
}

/* Another kind of socket would be open to every user of the machine, or of the network, and
 * nobody could say who connects. */
static bool take(struct listener *listener, int fd, struct error *err)
{
    int listening = 0, domain = 0;
    socklen_t size = sizeof listening;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening)
        return error_set(err, ERROR_MISCONFIGURED,
                         "listener address: not set, and neither systemd nor file descriptor 0 "
                         "brought a listening socket");
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX)
        return error_set(err, ERROR_MISCONFIGURED,
                         "the listening socket that was passed is not a unix socket");
    listener->fd = fd;
    return (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) ||
           fail(err, "the listening socket");
}

bool listener_open(struct listener *listener, const struct listener_options *options,
                   struct error *err)
{
    unsigned passed = notify_listeners();
    bool is_ours = passed == 0 && options->address;

    *listener = (struct listener){.fd = -1};
    if (passed > 1)
        return error_set(err, ERROR_MISCONFIGURED,
                         "systemd passed %u sockets: one is what is served", passed);
    if (is_ours ? !make(listener, options, err)
                : !take(listener, passed == 0 ? STDIN_FILENO : NOTIFY_FIRST_LISTENER, err))
        return false;
    if (peers_init(&listener->peers, options->peer_users, listener->fd, err))
        return true;
    listener_remove_path(listener);
    listener_close(listener);
    return false;
}

bool listener_check(const struct listener_options *options, struct error *err)
{
    const char *path = options->address ? options->address + strlen(scheme) : "/";
    char folder[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    struct peers peers;

    text_format(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path + 1), path);
    if (options->address && access(folder, W_OK | X_OK) != 0)
        return error_set(err, ERROR_MISCONFIGURED, "listener address: %s: %s", folder,
                         strerror(errno));
    return peers_init(&peers, options->peer_users, -1, err);
}

int listener_accept(const struct listener *listener)
{
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || peers_allow(&listener->peers, fd))
            return fd;
        close(fd);
    }
}

bool listener_has_backlog(const struct listener *listener)
{
    struct pollfd poller = {.fd = listener->fd, .events = POLLIN};

    return poll(&poller, 1, 0) > 0;
}

bool listener_is_shared(const struct listener *listener)
{
    return *listener->own.path == '\0';
}

void listener_remove_path(const struct listener *listener)
{
    const struct own *own = &listener->own;
    struct stat file;

    if (lstat(own->path, &file) == 0 && file.st_dev == own->device && file.st_ino == own->inode)
        unlink(own->path);
}

void listener_close(struct listener *listener)
{
    close(listener->fd);
    listener->fd = -1;
}
