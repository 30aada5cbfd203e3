/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Each test is made in a child, because nobody gets out of a sandbox. What the child returns is its
 * exit status; 0: all was as it should be. A signal is its number, negative. */
static int in_child(int (*run)(void *), void *argument)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(run(argument));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- system calls ---- */

static long exec_nothing(void)
{
    return execl("/nonexistent", "x", (char *)NULL);
}

#ifndef SANDBOX_FOR_SANITIZERS
static long make_process(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
#endif

/* Calls that no worker makes, with arguments that are wrong: those that get through do no harm, and
 * fail with another error than EPERM. */
static const struct {
    const char *name;
    long number;
    long arguments[3];
    long (*call)(void); /* NULL: the number and the arguments */
} foreign[] = {
    {"execve", 0, {0}, exec_nothing},
    {"a packet socket", SYS_socket, {AF_PACKET, -1, 0}, NULL},
    {"a socket to a hypervisor", SYS_socket, {AF_VSOCK, -1, 0}, NULL},
    {"chmod", SYS_fchmodat, {-1, 0, 0}, NULL},
    {"chown", SYS_fchown, {-1, 0, 0}, NULL},
    {"mkdir", SYS_mkdirat, {-1, 0, 0}, NULL},
    {"rename", SYS_renameat2, {-1, 0, -1}, NULL},
    {"truncate", SYS_truncate, {0, 0, 0}, NULL},
    {"a file that is opened and emptied", SYS_openat, {-1, 0, O_RDONLY | O_TRUNC}, NULL},
    {"mount", SYS_mount, {0, 0, 0}, NULL},
    {"unshare", SYS_unshare, {-1, 0, 0}, NULL},
    {"setns", SYS_setns, {-1, 0, 0}, NULL},
    {"bpf", SYS_bpf, {-1, 0, 0}, NULL},
    {"io_uring_setup", SYS_io_uring_setup, {0, 0, 0}, NULL},
    {"userfaultfd", SYS_userfaultfd, {-1, 0, 0}, NULL},
    {"perf_event_open", SYS_perf_event_open, {0, 0, 0}, NULL},
    {"keyctl", SYS_keyctl, {-1, 0, 0}, NULL},
    {"memfd_create", SYS_memfd_create, {0, -1, 0}, NULL},
    {"listen", SYS_listen, {-1, 0, 0}, NULL},
    {"setuid", SYS_setuid, {-1, 0, 0}, NULL},
#ifndef SANDBOX_FOR_SANITIZERS
    {"a process", 0, {0}, make_process},
    {"ptrace", SYS_ptrace, {-1, 0, 0}, NULL},
    {"kill", SYS_kill, {0x7fffffff, 0, 0}, NULL},
    {"memory that is written and run", SYS_mmap, {0, 4096, PROT_WRITE | PROT_EXEC}, NULL},
    {"a limit that is set", SYS_prlimit64, {0, RLIM_NLIMITS, 1}, NULL},
#endif
};

static long call(size_t i)
{
    if (foreign[i].call)
        return foreign[i].call();
    return syscall(foreign[i].number, foreign[i].arguments[0], foreign[i].arguments[1],
                   foreign[i].arguments[2]);
}

struct trial {
    enum sandbox_calls calls;
    size_t i; /* of foreign[] */
};

/* The errno of the call. */
static int try_foreign(void *argument)
{
    const struct trial *trial = argument;
    struct error err;

    if (!sandbox_enter_calls(trial->calls, &err))
        return 255;
    return call(trial->i) == -1 ? errno : 254;
}

static void skip_without_libseccomp(void)
{
#ifndef HAVE_SECCOMP
    skip();
#endif
}

static void foreign_calls_fail(void **state)
{
    (void)state;
    skip_without_libseccomp();
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        struct trial open = {SANDBOX_CALLS_OFF, i}, enforced = {SANDBOX_CALLS_ENFORCE, i};
        struct trial kill = {SANDBOX_CALLS_KILL, i};
        print_message("# %s\n", foreign[i].name);
        assert_int_equal(in_child(try_foreign, &enforced), EPERM);
        assert_int_equal(in_child(try_foreign, &kill), -SIGSYS);
        if (geteuid() == 0) /* others may get EPERM for want of rights */
            assert_int_not_equal(in_child(try_foreign, &open), EPERM);
    }
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* What libraries do for a worker, in a sandbox that kills. Returns the number of the step that
 * failed. */
static int live(void *argument)
{
    struct timespec moment = {.tv_nsec = 1000};
    struct addrinfo *found = NULL;
    struct error err;
    pthread_t thread;
    char byte;

    (void)argument;
    if (!sandbox_enter_calls(SANDBOX_CALLS_KILL, &err))
        return 1;
    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 2;
    if (getaddrinfo("localhost", "5432", NULL, &found) != 0)
        return 3;
    freeaddrinfo(found);
    if (getaddrinfo("no-such-host.invalid", NULL, NULL, &found) == 0) /* asks a name server */
        return 4;
    void *large = malloc(64 << 20);
    if (!large || !memset(large, 1, 64 << 20))
        return 5;
    free(large);
    int fd = open("/etc/hosts", O_RDONLY);
    if (fd < 0 || read(fd, &byte, 1) != 1 || close(fd) != 0)
        return 6;
    if (nanosleep(&moment, NULL) != 0 || getrandom(&byte, 1, 0) != 1)
        return 7;
    return raise(0) == 0 ? 0 : 8;
}

static void a_worker_lives(void **state)
{
    (void)state;
    skip_without_libseccomp();
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
    assert_int_equal(in_child(live, NULL), 0);
}

static int assert_nothing(void *argument)
{
    struct error err;

    (void)argument;
    if (!sandbox_enter_calls(SANDBOX_CALLS_KILL, &err))
        return 1;
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* libfcgi's assertions must end the process by their own signal. */
static void an_abort_is_an_abort(void **state)
{
    (void)state;
    skip_without_libseccomp();
    assert_int_equal(in_child(assert_nothing, NULL), -SIGABRT);
}

/* Whether the kernel's log has a line with the text within a second, from where it is now. */
static bool log_says(int log, const char *text)
{
    char line[8192];

    for (int i = 0; i < 100; i++) {
        ssize_t length;
        while ((length = read(log, line, sizeof line - 1)) > 0) {
            line[length] = '\0';
            if (strstr(line, text))
                return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

/* The kernel drops lines that come too fast: tried again after a while. */
static void a_violation_is_logged(void **state)
{
    struct trial trial = {SANDBOX_CALLS_ENFORCE, 3};
    char text[64];
    bool said = false;

    (void)state;
    skip_without_libseccomp();
    int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    if (log < 0 || access("/proc/sys/kernel/seccomp/actions_logged", R_OK) != 0 || lseek(log, 0, SEEK_END) < 0)
        skip(); /* not ours to read */
    snprintf(text, sizeof text, "syscall=%ld ", foreign[trial.i].number);
    for (int i = 0; i < 8 && !said; i++) {
        assert_int_equal(in_child(try_foreign, &trial), EPERM);
        said = log_says(log, text);
    }
    close(log);
    assert_true(said);
}

static void names_are_those_of_the_configuration(void **state)
{
    enum sandbox_calls calls = SANDBOX_CALLS_KILL;

    (void)state;
    assert_true(sandbox_calls_parse("off", &calls) && calls == SANDBOX_CALLS_OFF);
    assert_true(sandbox_calls_parse("enforce", &calls) && calls == SANDBOX_CALLS_ENFORCE);
    assert_true(sandbox_calls_parse("kill", &calls) && calls == SANDBOX_CALLS_KILL);
    assert_false(sandbox_calls_parse("on", &calls));
}

/* ---- files ---- */

static bool can_make(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);

    return fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0;
}

static bool can_read(const char *path)
{
    int fd = open(path, O_RDONLY);
    char byte;

    return fd >= 0 && read(fd, &byte, 1) == 1 && close(fd) == 0;
}

/* In a folder of ./written, ./emptied and ./read, each with a file "old". Returns the number of the
 * step that failed. */
static int change_files(void *argument)
{
    struct error err;
    int kept = open("read/old", O_WRONLY | O_APPEND);

    (void)argument;
    if (!sandbox_enter_files((struct sandbox_folder[]){{"written", true}, {"emptied", false}}, 2,
                             &err))
        return 1;
    if (!can_make("written/new") || !can_make("written/old"))
        return 2;
    if (unlink("written/old") == 0 || mkdir("written/folder", 0700) == 0)
        return 3;
    if (can_make("emptied/new") || can_make("emptied/old") || unlink("emptied/old") != 0)
        return 4;
    if (can_make("read/new") || can_make("read/old") || unlink("read/old") == 0)
        return 5;
    if (symlink("x", "read/link") == 0 || mkfifo("read/pipe", 0600) == 0 || rename("read/old", "read/moved") == 0)
        return 6;
    if (can_make("/dev/null") || !can_read("read/old"))
        return 7;
    return write(kept, "x", 1) == 1 ? 0 : 8;
}

static int enter_nowhere(void *argument)
{
    struct error err;

    (void)argument;
    return sandbox_enter_files(&(struct sandbox_folder){"/nonexistent", true}, 1, &err);
}

static void files_change_in_their_folders_alone(void **state)
{
    static const char *const folders[] = {"written", "emptied", "read"};
    char folder[] = "/tmp/sandbox.XXXXXX", path[64];

    (void)state;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 0)
        skip(); /* a kernel without */
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mkdir(folders[i], 0700), 0);
        snprintf(path, sizeof path, "%s/old", folders[i]);
        assert_true(can_make(path));
    }
    assert_int_equal(in_child(change_files, NULL), 0);
    assert_int_equal(in_child(enter_nowhere, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/old", folders[i]);
        unlink(path);
        snprintf(path, sizeof path, "%s/new", folders[i]);
        unlink(path);
        assert_int_equal(rmdir(folders[i]), 0);
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_the_configuration),
        cmocka_unit_test(foreign_calls_fail),
        cmocka_unit_test(a_worker_lives),
        cmocka_unit_test(an_abort_is_an_abort),
        cmocka_unit_test(a_violation_is_logged),
        cmocka_unit_test(files_change_in_their_folders_alone),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
