// A server with threads, and the load on it.
//
//   echo serve SOCKET CONNECTIONS            accepts so many connections, each on a thread of its own, answers
//                                            every request on them, and ends when all are closed
//   echo load SOCKET CONNECTIONS REQUESTS    makes so many requests on each, in turn; prints how many nanoseconds
//                                            one took
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { kMostConnections = 64, kRequest = 128 };

static void* Answer(void* connection) {
  const int fd = (int)(intptr_t)connection;
  char request[kRequest];
  ssize_t size = 0;
  while ((size = recv(fd, request, sizeof(request), MSG_WAITALL)) == (ssize_t)sizeof(request)) {
    if (send(fd, request, sizeof(request), MSG_NOSIGNAL) != size) break;
  }
  close(fd);
  return NULL;
}

static int Serve(int listener, const struct sockaddr_un* address, int connections) {
  pthread_t threads[kMostConnections];
  // Under another name first: who finds the socket can connect.
  struct sockaddr_un before = *address;
  strcat(before.sun_path, ".new");
  if (bind(listener, (const struct sockaddr*)&before, sizeof(before)) != 0 ||
      listen(listener, connections) != 0 || rename(before.sun_path, address->sun_path) != 0) {
    return 1;
  }
  for (int n = 0; n < connections; ++n) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0 || pthread_create(&threads[n], NULL, Answer, (void*)(intptr_t)fd) != 0) return 1;
  }
  for (int n = 0; n < connections; ++n) pthread_join(threads[n], NULL);
  return 0;
}

static int Load(const struct sockaddr_un* address, int connections, long requests) {
  int fds[kMostConnections];
  for (int n = 0; n < connections; ++n) {
    fds[n] = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fds[n] < 0 || connect(fds[n], (const struct sockaddr*)address, sizeof(*address)) != 0)
      return 1;
  }
  char text[kRequest] = {0};
  struct timespec begin;
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long round = 0; round < requests; ++round) {
    for (int n = 0; n < connections; ++n) {
      if (send(fds[n], text, sizeof(text), MSG_NOSIGNAL) != (ssize_t)sizeof(text)) return 1;
    }
    for (int n = 0; n < connections; ++n) {
      if (recv(fds[n], text, sizeof(text), MSG_WAITALL) != (ssize_t)sizeof(text)) return 1;
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.1f\n",
         ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
             ((double)requests * connections));
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const int connections = atoi(argv[3]);
  // Room for the name that the socket has first.
  if (strlen(argv[2]) + 5 > sizeof(address.sun_path) || connections < 1 ||
      connections > kMostConnections) {
    return 2;
  }
  strcpy(address.sun_path, argv[2]);
  if (strcmp(argv[1], "serve") == 0)
    return Serve(socket(AF_UNIX, SOCK_STREAM, 0), &address, connections);
  return argc == 5 ? Load(&address, connections, atol(argv[4])) : 2;
}
