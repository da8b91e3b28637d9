/* Preloaded, it moves the wall clock of a process by the milliseconds that stand in the file which TEST_CLOCK names: 8 bytes, in the
   machine's order, read each time, so that a test can set the clock of a process that runs. Only clock_gettime: what librdkafka waits
   by, and every monotonic clock, stay right, as they would on a machine. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_ms;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("TEST_CLOCK");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) abort();
  void *bytes = mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, file, 0);
  if (bytes == MAP_FAILED) abort();
  ahead_ms = bytes;
  close(file);
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, id, now);
  if (!failed && id == CLOCK_REALTIME && ahead_ms) {
    int64_t ns = now->tv_nsec + *ahead_ms % 1000 * 1000000;
    now->tv_sec += *ahead_ms / 1000 + (ns >= 1000000000) - (ns < 0);
    now->tv_nsec = (ns + 1000000000) % 1000000000;
  }
  return failed;
}
