/* Makes the disk slow or broken: preload it, and fsync and fdatasync wait FSYNC_DELAY_US microseconds, or fail with EIO while the file
 * that FSYNC_FAILS names exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int sync_file(const char *name, int file) {
    const char *delay = getenv("FSYNC_DELAY_US"), *fails = getenv("FSYNC_FAILS");
    if (delay) usleep((useconds_t)atol(delay));
    if (fails && access(fails, F_OK) == 0) return errno = EIO, -1;
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return sync_file("fsync", file); }
int fdatasync(int file) { return sync_file("fdatasync", file); }
