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
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "request.h"
#include "response.h"
#include "text.h"

#include <fcgiapp.h>

#include <errno.h>
#include <libgen.h>
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
    WATCHES = 3,                    /* in the time that the service manager allows for one */
    NO_LISTENER = -1,
};

struct pool {
    const struct server_options *options;
    struct listener listener;
    _Atomic bool stopping;  /* no connection is accepted any more */
    _Atomic unsigned steps; /* connections accepted, requests begun, requests ended */
    pthread_t *threads;     /* started of them */
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

static void serve_one(struct pool *pool, FCGX_Request *fcgi, struct arena *arena)
{
    struct input input = {fcgi->envp, read_body, fcgi->in};
    struct output output = {write_response, fcgi->out};

    pool->steps++;
    pool->options->serve(pool->options->context, &input, &output, arena);
    drain_body(fcgi->in);
    FCGX_Finish_r(fcgi);
    arena_reset(arena);
    pool->steps++;
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
        int fd = listener_accept(&pool->listener);
        if (fd >= 0) {
            pool->steps++;
            return fd;
        }
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

    pthread_mutex_lock(&pool->mutex); /* until all is ready */
    pthread_mutex_unlock(&pool->mutex);
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

static bool is_before(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec < other->tv_sec ||
           (one->tv_sec == other->tv_sec && one->tv_nsec < other->tv_nsec);
}

static bool is_past(const struct timespec *at)
{
    struct timespec now = after_ms(0);

    return !is_before(&now, at);
}

/* The time from now to the moment at, none if it is past. */
static struct timespec until(const struct timespec *at)
{
    struct timespec now = after_ms(0), left = {.tv_sec = 0};

    if (!is_before(&now, at))
        return left;
    left.tv_sec = at->tv_sec - now.tv_sec;
    left.tv_nsec = at->tv_nsec - now.tv_nsec;
    if (left.tv_nsec < 0) {
        left.tv_sec--;
        left.tv_nsec += 1000000000;
    }
    return left;
}

/* The path goes first, so that nobody comes any more; who had come is still accepted. */
static void close_own_listener(struct pool *pool, const struct timespec *deadline)
{
    listener_remove_path(&pool->listener);
    pthread_mutex_lock(&pool->mutex);
    while (listener_has_backlog(&pool->listener) && !is_past(deadline)) {
        struct timespec next = after_ms(WAKE_MS);
        pthread_cond_timedwait(&pool->changed, &pool->mutex, &next);
    }
    pthread_mutex_unlock(&pool->mutex);
    atomic_store(&pool->stopping, true);
    listener_shut(&pool->listener);
}

/* Stops accepting and waits for the threads. Returns how many still serve. The others are
 * joined, so that what libraries keep for each thread is gone before the process ends. A
 * socket that we were given stays open, and who waits there is for another process. */
static unsigned drain(struct pool *pool)
{
    struct timespec deadline = after_ms(pool->options->shutdown_ms);
    bool shared = listener_is_shared(&pool->listener);

    if (shared)
        atomic_store(&pool->stopping, true);
    else
        close_own_listener(pool, &deadline);
    pthread_mutex_lock(&pool->mutex);
    while (pool->running > 0 && !is_past(&deadline)) {
        struct timespec next = after_ms(WAKE_MS);
        if (shared)
            listener_wake(&pool->listener, pool->running);
        pthread_cond_timedwait(&pool->changed, &pool->mutex, &next);
    }
    unsigned left = pool->running;
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; left == 0 && i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    return left;
}

/* How many threads there are descriptors for: every connection has one, here and to PostgreSQL,
 * and who serves a request must not find that there is none left to ask PostgreSQL by. */
static unsigned affordable_threads(const struct server_options *options)
{
    unsigned others = options->descriptors - options->threads;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return options->threads;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max >= options->descriptors)
        return options->threads;
    unsigned threads = limit.rlim_max > others ? (unsigned)limit.rlim_max - others : 1;
    log_warn("%ju file descriptors are too few, see ulimit -n: %u are needed for %u threads",
             (uintmax_t)limit.rlim_max, options->descriptors, options->threads);
    return threads;
}

/* They wait for the mutex, which the caller holds. */
static bool start_threads(struct pool *pool, struct error *err)
{
    pthread_attr_t attributes;
    unsigned wanted = affordable_threads(pool->options);

    pool->threads = calloc(wanted, sizeof *pool->threads);
    if (!pool->threads)
        return error_exhausted(err);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    while (pool->started < wanted) {
        errno = pthread_create(&pool->threads[pool->started], &attributes, serve_all, pool);
        if (errno != 0)
            break;
        pool->started++;
    }
    pthread_attr_destroy(&attributes);
    pool->running = pool->started;
    return pool->started == wanted || fail(err, "cannot make a thread");
}

static void pool_init(struct pool *pool, const struct server_options *options,
                      const struct listener *listener)
{
    pthread_condattr_t attributes;

    *pool = (struct pool){.options = options, .listener = *listener};
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

/* The next signal before the moment at, 0 or less: none. One that stops comes before any number
 * of others. */
static int await_signal(const sigset_t *signals, const struct timespec *at)
{
    struct timespec left = until(at);
    static const struct timespec at_once = {0};
    sigset_t stops = *signals;

    sigdelset(&stops, SIGHUP);
    int received = sigtimedwait(&stops, NULL, &at_once);
    return received > 0 ? received : sigtimedwait(signals, NULL, &left);
}

/* Whether the threads can be relied on: since the last look one has taken a step, or there is
 * nothing to do. Every wait of theirs has a bound, so that all of them do neither only if
 * they hang. *seen is the number of steps at the last look. */
static bool is_alive(struct pool *pool, unsigned *seen)
{
    unsigned steps = atomic_load(&pool->steps);
    bool moved = steps != *seen;

    *seen = steps;
    return moved || !listener_has_backlog(&pool->listener);
}

/* Until told to stop. */
static void await_stop(struct pool *pool, const sigset_t *signals)
{
    const struct server_options *options = pool->options;
    unsigned watch_ms = notify_watchdog_ms() / WATCHES, seen = 0;
    struct timespec next_tick = after_ms(0), next_watch = after_ms(0);
    int received = 0;

    while (received <= 0 || received == SIGHUP) {
        if (is_past(&next_tick))
            next_tick = after_ms(options->tick(options->context));
        if (watch_ms > 0 && is_past(&next_watch)) {
            next_watch = after_ms(watch_ms);
            if (is_alive(pool, &seen))
                notify_alive();
        }
        bool watch_first = watch_ms > 0 && is_before(&next_watch, &next_tick);
        received = await_signal(signals, watch_first ? &next_watch : &next_tick);
        if (received == SIGHUP) {
            notify_reloading();
            options->reload(options->context);
            notify_ready();
        }
    }
    notify_stopping();
    log_info("stopping: %s", strsignal(received));
}

/* From here on the only file to change is the path of a socket of our own, which goes at the stop. */
static bool confine_files(const struct listener *listener, struct error *err)
{
    char folder[sizeof listener->own.path];
    unsigned count = listener_is_shared(listener) ? 0 : 1;

    text_format(folder, sizeof folder, "%s", listener->own.path);
    return sandbox_enter_files(&(struct sandbox_folder){.path = dirname(folder)}, count, err);
}

/* No thread touches a request before the sandbox is closed. */
static bool begin(struct pool *pool, struct error *err)
{
    pthread_mutex_lock(&pool->mutex);
    bool begun = confine_files(&pool->listener, err) && start_threads(pool, err) &&
                 sandbox_enter_calls(pool->options->seccomp, err);
    atomic_store(&pool->stopping, !begun);
    pthread_mutex_unlock(&pool->mutex);
    return begun;
}

bool server_run(const struct server_options *options, unsigned *left, struct error *err)
{
    static struct pool pool; /* threads that outlive the drain still look at it */
    sigset_t signals;
    struct listener listener;

    *left = 0;
    if (!listener_open(&listener, &options->listener, err))
        return false;
    /* Every thread inherits the mask, so that the signals are waited for here alone. libfcgi
     * would install handlers of its own where it finds the default. */
    collect_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* to libfcgi it means that no more is to be accepted */
    FCGX_Init();
    pool_init(&pool, options, &listener);
    bool begun = begin(&pool, err);
    if (begun) {
        log_info("serving with %u threads", pool.started);
        notify_ready();
        await_stop(&pool, &signals);
    }
    *left = drain(&pool);
    if (*left == 0)
        free(pool.threads);
    else
        log_warn("stopped with %u requests or kept connections left", *left);
    listener_close(&pool.listener);
    return begun;
}
