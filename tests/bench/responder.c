/* SPDX-License-Identifier: MIT
 *
 * responder SOCKET FILE THREADS: a FastCGI responder that does nothing but write FILE, whatever
 * it is asked: as fast as libfcgi can be behind nginx, and so the limit that ./dev bench
 * measures the worker against. Each thread accepts for itself, as libfcgi means it. Ends with
 * SIGTERM.
 */
#include <fcgiapp.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int listener;
    char *bytes;
    int length;
} answer;

static void *serve_all(void *context)
{
    FCGX_Request request;

    FCGX_InitRequest(&request, answer.listener, 0);
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutStr(answer.bytes, answer.length, request.out);
        FCGX_Finish_r(&request);
    }
    return context;
}

static void end(int number)
{
    (void)number;
    _exit(EXIT_SUCCESS);
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file || fseek(file, 0, SEEK_END) != 0)
        exit(EXIT_FAILURE);
    answer.length = (int)ftell(file);
    answer.bytes = malloc((size_t)answer.length);
    rewind(file);
    if (!answer.bytes || fread(answer.bytes, 1, (size_t)answer.length, file) != (size_t)answer.length)
        exit(EXIT_FAILURE);
    fclose(file);
}

int main(int argc, char *argv[])
{
    pthread_t thread;

    if (argc != 4)
        return EXIT_FAILURE;
    signal(SIGTERM, end); /* libfcgi would take its place, and only set a flag */
    signal(SIGPIPE, SIG_IGN);
    load(argv[2]);
    FCGX_Init();
    answer.listener = FCGX_OpenSocket(argv[1], SOMAXCONN);
    if (answer.listener < 0)
        return EXIT_FAILURE;
    for (int i = 1; i < atoi(argv[3]); i++) {
        if (pthread_create(&thread, NULL, serve_all, NULL) != 0)
            return EXIT_FAILURE;
    }
    serve_all(NULL);
    return EXIT_FAILURE;
}
