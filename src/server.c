/* SPDX-License-Identifier: MIT
 *
 * Connections are accepted here and handed to libfcgi, one at a time a thread: it would do so
 * itself, but then nothing bounds how long it waits for a request's parameters, a thread ends
 * when descriptors run out, and nobody looks at who connects. A struct FCGX_Request whose
 * connection is open (ipcFd) and to be kept (keepConnection) makes FCGX_Accept_r read from it;
 * without a listening socket it returns when that connection ends.
 *
 * accept(2) blocks. Where the socket is ours, shutdown(2) ends every accept. Where it is shared
 * with other processes, a thread is woken by what it waits for: a connection, made and closed
 * by ourselves.
 */
#include "server.h"

#include "arena.h"
#include "log.h"
#include "request.h"
#include "response.h"
#include "text.h"

#include <fcgiapp.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    STACK_SIZE = 512 * 1024,
    ARENA_LIMIT = 64 * 1024 * 1024, /* above the largest request and a list of 100,000 */
    WAKE_MS = 10,                   /* between two rounds of waking threads */
    PAUSE_MS = 100,                 /* before accepting again, where there is no descriptor */
    SYSTEMD_FIRST_FD = 3,
    NO_LISTENER = -1,
};

static const char scheme[] = "unix:"; /* of an address */

struct pool {
    const struct server_options *options;
    int listener;
    struct own {
        char path[sizeof ((struct sockaddr_un *)0)->sun_path]; /* "": the socket was passed */
        dev_t device;
        ino_t inode;
    } own; /* the socket that we made */
    _Atomic bool stopping; /* no connection is accepted any more */
    pthread_t *threads;    /* started of them */
    unsigned started;

    pthread_mutex_t mutex; /* guards running */
    pthread_cond_t changed;
    unsigned running;
};

static bool fail(struct error *err, const char *what)
{
    return error_set(err, ERROR_MISCONFIGURED, "%s: %s", what, strerror(errno));
}

static size_t read_body(void *context, char *buffer, size_t size)
{
    FCGX_Stream *stream = context;
    size_t done = 0;

    while (done < size) {
        size_t piece = size - done < INT_MAX ? size - done : INT_MAX;
        int count = FCGX_GetStr(buffer + done, (int)piece, stream);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

static bool write_response(void *context, const char *bytes, size_t length)
{
    FCGX_Stream *stream = context;

    while (length > 0) {
        int piece = length < INT_MAX ? (int)length : INT_MAX;
        if (FCGX_PutStr(bytes, piece, stream) != piece)
            return false;
        bytes += piece;
        length -= (size_t)piece;
    }
    return true;
}

/* What the request did not read must not be taken for the next one's. */
static void drain_body(FCGX_Stream *stream)
{
    char rest[8192];

    while (FCGX_GetStr(rest, (int)sizeof rest, stream) > 0)
        ;
}

static void serve_one(const struct pool *pool, FCGX_Request *fcgi, struct arena *arena)
{
    struct input input = {fcgi->envp, read_body, fcgi->in};
    struct output output = {write_response, fcgi->out};

    pool->options->serve(pool->options->context, &input, &output, arena);
    drain_body(fcgi->in);
    FCGX_Finish_r(fcgi);
    arena_reset(arena);
}

/* No wait for the web server, be it for a request to begin, to go on or to be read, is longer.
 * A kept connection that is idle for so long is closed. */
static void bound_waits(int fd, unsigned ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

/* The next connection; -1: told to stop. */
static int accept_next(struct pool *pool)
{
    while (!atomic_load(&pool->stopping)) {
        int fd = accept4(pool->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            poll(NULL, 0, PAUSE_MS);
    }
    return -1;
}

static void *serve_all(void *context)
{
    struct pool *pool = context;
    struct arena *arena = arena_new(ARENA_LIMIT);
    FCGX_Request fcgi;
    int fd;

    while (arena && (fd = accept_next(pool)) >= 0) {
        bound_waits(fd, pool->options->request_ms);
        FCGX_InitRequest(&fcgi, NO_LISTENER, 0);
        fcgi.ipcFd = fd;
        fcgi.keepConnection = 1;
        /* libfcgi takes parameters that break off for all there are. */
        while (FCGX_Accept_r(&fcgi) == 0 && FCGX_GetError(fcgi.in) == 0)
            serve_one(pool, &fcgi, arena);
        FCGX_Free(&fcgi, 1);
    }
    arena_free(arena);
    pthread_mutex_lock(&pool->mutex);
    pool->running--;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
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

/* Takes the path from the socket that we made, unless somebody else's is there by now. */
static void remove_own(const struct own *own)
{
    struct stat file;

    if (lstat(own->path, &file) == 0 && file.st_dev == own->device && file.st_ino == own->inode)
        unlink(own->path);
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

/* File descriptor of a socket that is listening already: systemd's (sd_listen_fds(3)) or
 * spawn-fcgi's. -1: there is none. */
static int inherited_listener(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    bool from_systemd = pid && count && strtol(pid, NULL, 10) == (long)getpid() &&
                        strtol(count, NULL, 10) > 0;
    int fd = from_systemd ? SYSTEMD_FIRST_FD : STDIN_FILENO;
    int listening = 0;
    socklen_t size = sizeof listening;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening)
        return -1;
    return fd;
}

bool server_check_address(const char *address, struct error *err)
{
    const char *path = address ? address + strlen(scheme) : "/";
    char folder[sizeof ((struct sockaddr_un *)0)->sun_path + 1];

    text_format(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path + 1), path);
    if (!address || access(folder, W_OK | X_OK) == 0)
        return true;
    return error_set(err, ERROR_MISCONFIGURED, "listener address: %s: %s", folder, strerror(errno));
}

/* *own is filled if the socket is ours to make. */
static int open_listener(const struct server_options *options, struct own *own,
                         struct error *err)
{
    if (!options->address) {
        int fd = inherited_listener();
        if (fd < 0)
            error_set(err, ERROR_MISCONFIGURED,
                      "listener address: not set, and neither systemd nor file descriptor 0 "
                      "brought a listening socket");
        return fd;
    }
    if (!text_format(own->path, sizeof own->path, "%s", options->address + strlen(scheme))) {
        errno = ENAMETOOLONG;
        fail(err, options->address);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !listen_on(fd, own, options->mode)) {
        fail(err, own->path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* Connects once for every thread that may sit in accept(2). */
static void wake(int listener, unsigned count)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    if (getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return;
        bool connected = connect(fd, (struct sockaddr *)&address, size) == 0;
        close(fd);
        if (!connected)
            return;
    }
}

static struct timespec after_ms(unsigned ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static bool is_past(const struct timespec *at)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > at->tv_sec || (now.tv_sec == at->tv_sec && now.tv_nsec >= at->tv_nsec);
}

/* Whether a connection waits to be accepted. */
static bool has_backlog(int listener)
{
    struct pollfd poller = {.fd = listener, .events = POLLIN};

    return poll(&poller, 1, 0) > 0;
}

/* The path goes first, so that nobody comes any more; who had come is still accepted. */
static void close_own_listener(struct pool *pool, const struct timespec *deadline)
{
    remove_own(&pool->own);
    pthread_mutex_lock(&pool->mutex);
    while (has_backlog(pool->listener) && !is_past(deadline)) {
        struct timespec next = after_ms(WAKE_MS);
        pthread_cond_timedwait(&pool->changed, &pool->mutex, &next);
    }
    pthread_mutex_unlock(&pool->mutex);
    atomic_store(&pool->stopping, true);
    shutdown(pool->listener, SHUT_RD);
}

/* Stops accepting and waits for the threads. Returns how many still serve. The others are
 * joined, so that what libraries keep for each thread is gone before the process ends. A
 * socket that we were given stays open, and who waits there is for another process. */
static unsigned drain(struct pool *pool)
{
    struct timespec deadline = after_ms(pool->options->shutdown_ms);
    bool own = *pool->own.path != '\0';

    if (own)
        close_own_listener(pool, &deadline);
    else
        atomic_store(&pool->stopping, true);
    pthread_mutex_lock(&pool->mutex);
    while (pool->running > 0 && !is_past(&deadline)) {
        struct timespec next = after_ms(WAKE_MS);
        if (!own)
            wake(pool->listener, pool->running);
        pthread_cond_timedwait(&pool->changed, &pool->mutex, &next);
    }
    unsigned left = pool->running;
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; left == 0 && i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    return left;
}

static bool start_threads(struct pool *pool, struct error *err)
{
    pthread_attr_t attributes;
    unsigned wanted = pool->options->threads;

    pool->threads = calloc(wanted, sizeof *pool->threads);
    if (!pool->threads)
        return error_exhausted(err);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    while (pool->started < wanted) {
        pthread_mutex_lock(&pool->mutex);
        pool->running++;
        pthread_mutex_unlock(&pool->mutex);
        errno = pthread_create(&pool->threads[pool->started], &attributes, serve_all, pool);
        if (errno != 0) {
            pthread_mutex_lock(&pool->mutex);
            pool->running--;
            pthread_mutex_unlock(&pool->mutex);
            fail(err, "cannot make a thread");
            break;
        }
        pool->started++;
    }
    pthread_attr_destroy(&attributes);
    return pool->started == wanted;
}

/* Every connection has a descriptor, here and to PostgreSQL. */
static void check_descriptors(const struct server_options *options)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < options->descriptors)
        log_warn("%ju file descriptors are too few: up to %u are needed, see ulimit -n",
                 (uintmax_t)limit.rlim_max, options->descriptors);
}

static void pool_init(struct pool *pool, const struct server_options *options, int listener,
                      const struct own *own)
{
    pthread_condattr_t attributes;

    *pool = (struct pool){.options = options, .listener = listener, .own = *own};
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void collect_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
}

void server_block_signals(void)
{
    sigset_t hang_up;

    sigemptyset(&hang_up);
    sigaddset(&hang_up, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hang_up, NULL);
}

/* The next signal within ms milliseconds, 0 or less: none. One that stops comes before any number
 * of others. */
static int await_signal(const sigset_t *signals, unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    static const struct timespec at_once = {0};
    sigset_t stops = *signals;

    sigdelset(&stops, SIGHUP);
    int received = sigtimedwait(&stops, NULL, &at_once);
    return received > 0 ? received : sigtimedwait(signals, NULL, &time);
}

/* Until told to stop. */
static void await_stop(const struct server_options *options, const sigset_t *signals)
{
    int received = 0;

    while (received <= 0 || received == SIGHUP) {
        received = await_signal(signals, options->tick(options->context));
        if (received == SIGHUP)
            options->reload(options->context);
    }
    log_info("stopping: %s", strsignal(received));
}

bool server_run(const struct server_options *options, unsigned *left, struct error *err)
{
    static struct pool pool; /* threads that outlive the drain still look at it */
    sigset_t signals;
    struct own own = {.path = ""};
    int listener = open_listener(options, &own, err);

    *left = 0;
    if (listener < 0)
        return false;
    /* Every thread inherits the mask, so that the signals are waited for here alone. libfcgi
     * would install handlers of its own where it finds the default. */
    collect_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* to libfcgi it means that no more is to be accepted */
    FCGX_Init();
    check_descriptors(options);
    pool_init(&pool, options, listener, &own);
    bool started = start_threads(&pool, err);
    if (started) {
        log_info("serving with %u threads", options->threads);
        await_stop(options, &signals);
    }
    *left = drain(&pool);
    if (*left == 0)
        free(pool.threads);
    else
        log_warn("stopped with %u requests or kept connections left", *left);
    close(listener);
    return started;
}
