/* A disk whose every sync takes SLOW_MS longer as long as the file SLOW_FLAG exists: for LD_PRELOAD, see slow_disk.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void wait_if_slow(void) {
    const char *flag = getenv("SLOW_FLAG"), *milliseconds = getenv("SLOW_MS");
    if (flag == NULL || milliseconds == NULL || access(flag, F_OK) != 0) return;
    long more = atol(milliseconds);
    struct timespec time = { more / 1000, more % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

int fsync(int file) {
    wait_if_slow();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file) {
    wait_if_slow();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}

ssize_t pwritev2(int file, const struct iovec *parts, int count, off_t at, int flags) {
    if (flags & RWF_DSYNC) wait_if_slow();
    ssize_t (*real)(int, const struct iovec *, int, off_t, int) = dlsym(RTLD_NEXT, "pwritev2");
    return real(file, parts, count, at, flags);
}
