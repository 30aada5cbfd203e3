/* SPDX-License-Identifier: MIT
 *
 * The table names every system call of a worker that serves, and why. It is complete for glibc's
 * resolver, libpq over a socket or TCP with TLS, a reload and a stop; what is done before the
 * worker serves (bind a socket's path, change modes) is not in it.
 */
#include "sandbox.h"

#include <errno.h>
#include <linux/sched.h>
#include <string.h>

static const char *const names[] = {"off", "enforce", "kill"};

bool sandbox_calls_parse(const char *name, enum sandbox_calls *out)
{
    for (int i = SANDBOX_CALLS_OFF; i <= SANDBOX_CALLS_KILL; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum sandbox_calls)i;
            return true;
        }
    }
    return false;
}

#ifndef HAVE_SECCOMP

bool sandbox_enter_calls(enum sandbox_calls calls, struct error *err)
{
    (void)err;
    if (calls != SANDBOX_CALLS_OFF)
        log_warn("system calls are not confined: built without libseccomp");
    return true;
}

#else

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Calls that are made with any arguments. A name that an architecture does not have is skipped. */
#define CALLS(X)                                                                             \
    /* the web server, PostgreSQL, name servers, the service manager, standard error */      \
    X(accept) X(accept4) X(connect) X(shutdown) X(close)                                     \
    X(read) X(recvfrom) X(recvmsg) X(recvmmsg) X(write) X(sendto) X(sendmsg) X(sendmmsg)     \
    X(getsockname) X(getpeername) X(getsockopt) X(setsockopt) X(fcntl) X(fcntl64)            \
    X(poll) X(ppoll) X(ppoll_time64) X(epoll_wait) X(epoll_pwait) X(epoll_ctl) X(writev)     \
    X(bind) /* the resolver's netlink socket; Landlock keeps paths from being made */        \
    /* files that are read: the configuration, certificates, what the resolver and libpq     \
     * look into, libraries that they load at their first use */                             \
    X(pread64) X(readv) X(lseek) X(_llseek) X(getdents64)                  \
    X(fstat) X(fstat64) X(stat) X(stat64) X(lstat) X(lstat64) X(newfstatat) X(fstatat64)     \
    X(statx) X(access) X(faccessat) X(faccessat2) X(readlink) X(readlinkat) X(getcwd)        \
    X(unlink) X(unlinkat) /* the path of a socket of our own, at the stop */                 \
    X(flock) X(ftruncate) X(ftruncate64) X(fchmod) /* the audit log */                       \
    /* memory, threads and locks */                                                          \
    X(brk) X(munmap) X(mremap) X(madvise)                                                    \
    X(futex) X(futex_time64) X(set_robust_list) X(rseq) X(sched_yield) X(gettid)             \
    X(sched_getaffinity) X(getcpu)                                                           \
    /* signals, and the end */                                                               \
    X(rt_sigaction) X(rt_sigprocmask) X(rt_sigreturn) X(rt_sigtimedwait)                     \
    X(rt_sigtimedwait_time64) X(sigaltstack) X(restart_syscall) X(exit) X(exit_group)        \
    /* clocks and waits */                                                                   \
    X(clock_gettime) X(clock_gettime64) X(clock_getres) X(clock_getres_time64)               \
    X(gettimeofday) X(time) X(nanosleep) X(clock_nanosleep) X(clock_nanosleep_time64)        \
    /* who and where we are, random numbers */                                               \
    X(getpid) X(getppid) X(getuid) X(getuid32) X(geteuid) X(geteuid32) X(getgid)             \
    X(getgid32) X(getegid) X(getegid32) X(getresuid) X(getresgid) X(getgroups)               \
    X(uname) X(sysinfo) X(getrandom) X(getrusage) X(times)

static const int calls_of_any_kind[] = {
#define X(name) SCMP_SYS(name),
    CALLS(X)
#undef X
};

#ifdef SANDBOX_FOR_SANITIZERS
/* A sanitizer's own: it looks for leaks from a process that it makes and that traces this one,
 * asks whether memory can be read by way of a pipe, and maps as it likes. */
static const int calls_of_sanitizers[] = {
    SCMP_SYS(clone), SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(kill), SCMP_SYS(prctl),
    SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit), SCMP_SYS(tgkill), SCMP_SYS(process_vm_readv), SCMP_SYS(getdents),
};
#endif

/* Calls that are made with some values of one argument only: *argument & mask is value. */
static const struct {
    int call;
    unsigned argument;
    scmp_datum_t mask, value;
} calls_of_a_kind[] = {
#define ALL (~(scmp_datum_t)0)
    {SCMP_SYS(socket), 0, ALL, AF_UNIX}, /* PostgreSQL, the service manager, nscd */
    {SCMP_SYS(socket), 0, ALL, AF_INET}, /* PostgreSQL, name servers */
    {SCMP_SYS(socket), 0, ALL, AF_INET6},
    {SCMP_SYS(socket), 0, ALL, AF_NETLINK}, /* the resolver: which addresses are ours */
    {SCMP_SYS(openat), 2, O_TRUNC, 0}, /* configuration, libraries, the audit log; empties none */
    {SCMP_SYS(open), 1, O_TRUNC, 0},
    {SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD}, /* a thread, and no process */
    /* No memory becomes code that was written to. */
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mmap), 2, PROT_WRITE, 0},
    {SCMP_SYS(mmap2), 2, PROT_EXEC, 0},
    {SCMP_SYS(mmap2), 2, PROT_WRITE, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    {SCMP_SYS(prlimit64), 2, ALL, 0}, /* asks for a limit, sets none */
    {SCMP_SYS(ioctl), 1, ALL, FIONREAD}, /* the resolver: how long an answer is */
    {SCMP_SYS(ioctl), 1, ALL, TCGETS},   /* stdio: whether it writes to a terminal */
};

static int add_table(scmp_filter_ctx filter, const int calls[], size_t count)
{
    int failed = 0;

    for (size_t i = 0; failed == 0 && i < count; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return failed;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* 0, or a negative errno. */
static int fill(scmp_filter_ctx filter)
{
    int failed = add_table(filter, calls_of_any_kind, COUNT(calls_of_any_kind));

#ifdef SANDBOX_FOR_SANITIZERS
    if (failed == 0)
        failed = add_table(filter, calls_of_sanitizers, COUNT(calls_of_sanitizers));
#endif
    for (size_t i = 0; failed == 0 && i < COUNT(calls_of_a_kind); i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls_of_a_kind[i].call, 1,
                                  SCMP_CMP64(calls_of_a_kind[i].argument, SCMP_CMP_MASKED_EQ,
                                             calls_of_a_kind[i].mask, calls_of_a_kind[i].value));
    if (failed == 0) /* abort() and raise() signal us, and nobody else may be */
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                  SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    if (failed == 0) /* the other filter says what becomes of it */
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
    return failed;
}

/* 0, or a negative errno. The filter is freed. */
static int load(scmp_filter_ctx filter, int failed, bool is_logged)
{
    if (failed == 0)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, is_logged);
    if (failed == 0)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    return failed;
}

/* The flags of clone3() cannot be looked at. glibc takes the older clone() where there is none, for
 * every thread: a filter of its own, because that is nothing to log. */
static int hide_clone3(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (!filter)
        return -ENOMEM;
    return load(filter, seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), false);
}

static int enter(uint32_t otherwise)
{
    scmp_filter_ctx filter = seccomp_init(otherwise);

    return filter ? load(filter, fill(filter), true) : -ENOMEM;
}

bool sandbox_enter_calls(enum sandbox_calls calls, struct error *err)
{
    if (calls == SANDBOX_CALLS_OFF)
        return true;
    int failed = hide_clone3();

    if (failed == 0)
        failed = enter(calls == SANDBOX_CALLS_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
    return failed == 0 ||
           error_set(err, ERROR_MISCONFIGURED,
                     "seccomp: the filter cannot be loaded: %s; \"off\" does without",
                     strerror(-failed));
}

#endif
