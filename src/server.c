/* SPDX-License-Identifier: MIT
 *
 * One thread accepts, and all others serve whichever connection has a request (connections.h).
 * libfcgi would accept by itself and stay with a connection as long as it is kept: then nothing
 * bounds how long it waits for a request's parameters, idle connections hold threads until none
 * is left, a thread ends when descriptors run out, and nobody looks at who connects. A struct
 * FCGX_Request whose connection is open (ipcFd) and to be kept (keepConnection) makes
 * FCGX_Accept_r read from it; without a listening socket it returns when that connection ends.
 * Between two requests libfcgi holds nothing of a connection but its descriptor: FCGX_Finish_r
 * frees the buffers, which are empty because the web server sends no second request before it
 * has the answer to the first (FCGI_MPXS_CONNS is 0), and the body was read to its end.
 */
#include "server.h"

#include "arena.h"
#include "connections.h"
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "request.h"
#include "response.h"
#include "secret.h"
#include "text.h"

#include <fastcgi.h>
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
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    STACK_SIZE = 512 * 1024,
    ARENA_LIMIT = 64 * 1024 * 1024, /* above the largest request and a list of 100,000 */
    LOOK_MS = 10,                   /* between two looks at how far a stop has come */
    PAUSE_MS = 100,                 /* before accepting again, where there is no descriptor */
    DESCRIPTORS_MAX = 65536,        /* more are not used */
    WATCHES = 3,                    /* in the time that the service manager allows for one */
    NO_LISTENER = -1,
    RECORD_MAX = FCGI_MAX_LENGTH & ~7, /* a multiple of eight needs no padding */
    SHORT_MAX = 16 * 1024,
};

struct pool {
    const struct server_options *options;
    struct listener listener;
    struct connections *connections;
    unsigned room;          /* for so many connections there are descriptors */
    int stop;               /* an eventfd: readable once no connection is to be accepted any more */
    pthread_t acceptor;     /* if accepts */
    bool accepts;
    _Atomic unsigned steps; /* requests begun, requests ended */
    pthread_t *threads;     /* started of them */
    unsigned started;

    pthread_mutex_t mutex; /* guards running */
    pthread_cond_t changed;
    unsigned running;
};

static const struct connections *open_connections; /* the pool's */

const struct connections *server_connections(void)
{
    return open_connections;
}

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

/* Writes one FastCGI record of what belongs to the answer. */
static bool write_record(const FCGX_Request *fcgi, const char *bytes, size_t length)
{
    FCGI_Header header = {
        .version = FCGI_VERSION_1,
        .type = FCGI_STDOUT,
        .requestIdB1 = (unsigned char)(fcgi->requestId >> 8),
        .requestIdB0 = (unsigned char)fcgi->requestId,
        .contentLengthB1 = (unsigned char)(length >> 8),
        .contentLengthB0 = (unsigned char)length,
    };
    struct iovec parts[] = {{&header, sizeof header}, {(char *)bytes, length}};

    for (int done = 0; done < 2;) {
        ssize_t written = writev(fcgi->ipcFd, parts + done, 2 - done);
        if (written <= 0)
            return false;
        for (; done < 2 && (size_t)written >= parts[done].iov_len; done++)
            written -= (ssize_t)parts[done].iov_len;
        if (done < 2) {
            parts[done].iov_base = (char *)parts[done].iov_base + written;
            parts[done].iov_len -= (size_t)written;
        }
    }
    return true;
}

/* What is long goes around libfcgi, which would copy it into records of 8 KiB. After one that
 * broke off nothing may follow. */
static bool write_long(const FCGX_Request *fcgi, const char *bytes, size_t length)
{
    bool good = FCGX_FFlush(fcgi->out) == 0;

    while (good && length > 0) {
        size_t piece = length < RECORD_MAX ? length : RECORD_MAX;
        good = write_record(fcgi, bytes, piece);
        bytes += piece;
        length -= piece;
    }
    if (!good)
        shutdown(fcgi->ipcFd, SHUT_RDWR);
    return good;
}

static bool write_response(void *context, const char *bytes, size_t length)
{
    const FCGX_Request *fcgi = context;

    if (length > SHORT_MAX)
        return write_long(fcgi, bytes, length);
    return FCGX_PutStr(bytes, (int)length, fcgi->out) == (int)length;
}

/* The web server sees that the answer has not ended. */
static void break_off(void *context)
{
    const FCGX_Request *fcgi = context;

    shutdown(fcgi->ipcFd, SHUT_RDWR);
}

/* What the request did not read must not be taken for the next one's. */
static void drain_body(FCGX_Stream *stream)
{
    char rest[8192];
    bool any = false;

    while (FCGX_GetStr(rest, (int)sizeof rest, stream) > 0)
        any = true;
    if (any)
        secret_wipe(rest, sizeof rest);
}

/* libfcgi frees its buffers as they are, with whatever was received and sent. Its header does not
 * show them, but what FCGX_Stream's data points to has begun with these two for as long as there
 * has been a libfcgi. Where stop does not lie between them it is something else. */
struct fcgi_buffer {
    unsigned char *start;
    int size;
};

static void wipe_buffer(const FCGX_Stream *stream)
{
    const struct fcgi_buffer *buffer = stream ? stream->data : NULL;

    if (buffer && buffer->size > 0 && stream->stop >= buffer->start &&
        stream->stop <= buffer->start + buffer->size)
        secret_wipe(buffer->start, (size_t)buffer->size);
}

static void wipe(const FCGX_Request *fcgi)
{
    for (char **parameter = fcgi->envp; parameter && *parameter; parameter++)
        secret_wipe(*parameter, strlen(*parameter));
    wipe_buffer(fcgi->in);
    wipe_buffer(fcgi->out);
}

/* FCGX_Finish_r, with nothing left behind. It does not close again what is closed, nor see that
 * closing failed. */
static void finish(FCGX_Request *fcgi)
{
    bool failed = FCGX_FClose(fcgi->err) != 0;

    if (FCGX_FClose(fcgi->out) != 0 || failed)
        fcgi->keepConnection = 0;
    wipe(fcgi);
    FCGX_Finish_r(fcgi);
}

static void serve_one(struct pool *pool, FCGX_Request *fcgi, struct arena *arena)
{
    struct input input = {fcgi->envp, read_body, fcgi->in};
    struct output output = {write_response, break_off, fcgi};

    pool->steps++;
    pool->options->serve(pool->options->context, &input, &output, arena);
    drain_body(fcgi->in);
    finish(fcgi);
    arena_reset(arena);
    pool->steps++;
}

/* Serves one request on a connection that has one, or has ended. */
static void serve_next(struct pool *pool, int fd, struct arena *arena)
{
    FCGX_Request fcgi;

    FCGX_InitRequest(&fcgi, NO_LISTENER, 0);
    fcgi.ipcFd = fd;
    fcgi.keepConnection = 1;
    /* libfcgi takes parameters that break off for all there are. */
    bool begun = FCGX_Accept_r(&fcgi) == 0, whole = begun && FCGX_GetError(fcgi.in) == 0;
    if (whole)
        serve_one(pool, &fcgi, arena);
    if (whole && fcgi.ipcFd >= 0) {
        connections_put_back(pool->connections, fd);
    } else {
        if (begun && !whole)
            wipe(&fcgi);
        FCGX_Free(&fcgi, 1);
        connections_gone(pool->connections);
    }
}

static void *serve_all(void *context)
{
    struct pool *pool = context;
    struct arena *arena = arena_new(ARENA_LIMIT);
    int fd;

    while (arena && (fd = connections_take(pool->connections)) >= 0)
        serve_next(pool, fd, arena);
    arena_free(arena);
    pthread_mutex_lock(&pool->mutex);
    pool->running--;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* No wait for the web server in the middle of a request, be it for more of it or to take more of
 * the answer, is longer. */
static void bound_waits(int fd, unsigned ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

/* Takes the next connection, if there is one. False: there is no descriptor for it. */
static bool accept_next(struct pool *pool)
{
    if (connections_count(pool->connections) >= pool->room)
        return false;
    int fd = listener_accept(&pool->listener);
    if (fd < 0)
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    bound_waits(fd, pool->options->request_ms);
    connections_put(pool->connections, fd);
    return true;
}

/* Accepts, and closes who is idle for long, until told to stop. */
static void *accept_all(void *context)
{
    struct pool *pool = context;
    struct pollfd watched[] = {
        {.fd = pool->stop, .events = POLLIN},
        {.fd = pool->listener.fd, .events = POLLIN},
    };
    bool has_room = true;

    for (;;) {
        int idle_ms = connections_close_idle(pool->connections);
        poll(watched, has_room ? 2 : 1, has_room ? idle_ms : PAUSE_MS);
        if (watched[0].revents)
            return NULL;
        has_room = accept_next(pool);
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

/* The path goes first, so that nobody comes any more; who had come is still accepted. A socket
 * that we were given stays open, and who waits there is for another process. */
static void stop_accepting(struct pool *pool, const struct timespec *deadline)
{
    const uint64_t one = 1;

    if (!listener_is_shared(&pool->listener)) {
        listener_remove_path(&pool->listener);
        while (listener_has_backlog(&pool->listener) && !is_past(deadline))
            poll(NULL, 0, LOOK_MS);
    }
    if (write(pool->stop, &one, sizeof one) == sizeof one)
        pthread_join(pool->acceptor, NULL);
}

/* Stops accepting, waits until the web server lets go of its connections, and for the threads.
 * Returns how many still serve. The others are joined, so that what libraries keep for each
 * thread is gone before the process ends. */
static unsigned drain(struct pool *pool)
{
    struct timespec deadline = after_ms(pool->options->shutdown_ms);

    if (pool->accepts)
        stop_accepting(pool, &deadline);
    while (connections_count(pool->connections) > 0 && !is_past(&deadline))
        poll(NULL, 0, LOOK_MS);
    connections_end(pool->connections);
    pthread_mutex_lock(&pool->mutex);
    while (pool->running > connections_served(pool->connections)) {
        struct timespec next = after_ms(LOOK_MS);
        pthread_cond_timedwait(&pool->changed, &pool->mutex, &next);
    }
    unsigned left = pool->running;
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; left == 0 && i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    return left;
}

static bool start_thread(struct pool *pool, pthread_t *thread, void *(*run)(void *),
                         struct error *err)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    errno = pthread_create(thread, &attributes, run, pool);
    pthread_attr_destroy(&attributes);
    return errno == 0 || fail(err, "cannot make a thread");
}

static bool start_threads(struct pool *pool, struct error *err)
{
    unsigned wanted = pool->options->threads;

    pool->threads = calloc(wanted, sizeof *pool->threads);
    if (!pool->threads)
        return error_exhausted(err);
    while (pool->started < wanted) {
        if (!start_thread(pool, &pool->threads[pool->started], serve_all, err))
            break;
        pool->started++;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->running += pool->started; /* one may have ended already, for want of memory */
    pthread_mutex_unlock(&pool->mutex);
    return pool->started == wanted;
}

/* Every connection has a descriptor, here and to PostgreSQL, and who serves a request must not find
 * that there is none left to ask PostgreSQL by. */
static unsigned descriptors(const struct server_options *options)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return DESCRIPTORS_MAX;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < options->descriptors + options->threads)
        log_warn("%ju file descriptors are too few, see ulimit -n: %u are needed, and one for "
                 "each connection of the web server",
                 (uintmax_t)limit.rlim_max, options->descriptors);
    return limit.rlim_max < DESCRIPTORS_MAX ? (unsigned)limit.rlim_max : DESCRIPTORS_MAX;
}

static bool pool_init(struct pool *pool, const struct server_options *options,
                      const struct listener *listener, struct error *err)
{
    pthread_condattr_t attributes;
    unsigned all = descriptors(options);

    *pool = (struct pool){.options = options, .listener = *listener};
    pool->room = all > options->descriptors ? all - options->descriptors : 1;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pool->stop = eventfd(0, EFD_CLOEXEC);
    if (pool->stop < 0)
        return fail(err, "eventfd");
    open_connections = pool->connections = connections_new(all, options->request_ms, err);
    return pool->connections != NULL;
}

static void pool_fini(struct pool *pool)
{
    connections_free(pool->connections);
    close(pool->stop);
    free(pool->threads);
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
    return moved || !connections_wait(pool->connections);
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

/* From here on the only files to change are the audit log, and the path of a socket of our own, which
 * goes at the stop. */
static bool confine_files(const struct listener *listener, const char *audit_path,
                          struct error *err)
{
    char own[sizeof listener->own.path], *audit = audit_path ? strdup(audit_path) : NULL;
    struct sandbox_folder folders[2];
    size_t count = 0;

    if (audit_path && !audit)
        return error_exhausted(err);
    text_format(own, sizeof own, "%s", listener->own.path);
    if (!listener_is_shared(listener))
        folders[count++] = (struct sandbox_folder){.path = dirname(own)};
    if (audit)
        folders[count++] = (struct sandbox_folder){.path = dirname(audit), .writable = true};
    bool confined = sandbox_enter_files(folders, count, err);
    free(audit);
    return confined;
}

/* Nobody is accepted before the sandbox is closed. */
static bool begin(struct pool *pool, struct error *err)
{
    pool->accepts = confine_files(&pool->listener, pool->options->audit_path, err) &&
                    start_threads(pool, err) &&
                    sandbox_enter_calls(pool->options->seccomp, err) &&
                    start_thread(pool, &pool->acceptor, accept_all, err);
    return pool->accepts;
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
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is write(2)'s to tell */
    signal(SIGUSR1, SIG_IGN); /* to libfcgi it means that no more is to be accepted */
    FCGX_Init();
    bool begun = pool_init(&pool, options, &listener, err) && begin(&pool, err);
    if (begun) {
        log_info("serving with %u threads", pool.started);
        notify_ready();
        await_stop(&pool, &signals);
    }
    *left = pool.connections ? drain(&pool) : 0;
    if (*left == 0)
        pool_fini(&pool);
    else
        log_warn("stopped with %u requests left", *left);
    listener_close(&pool.listener);
    return begun;
}
