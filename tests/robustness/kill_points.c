/* Counts the points at which a process writes below a folder, and sends it a signal at one of them (LD_PRELOAD).

   A point is a call that changes what is on the disk: half of a write is done before the signal, of another call
   nothing; a file that is opened to be written is made first. Only points at paths of a pattern count. Points are those of the process that armed the library:
   what it starts counts nothing. What is written through C's own buffered files (fwrite) is not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX], pattern[PATH_MAX];
static __thread char here[2 * PATH_MAX]; /* where the call at hand writes, from the folder */
static size_t length;
static long wanted, seen;
static int signal_number, list = -1;
static pid_t armed;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* `point` 0: only counts. `listed`: a file that the path of every point is written to, a line each; or nothing. */
void kill_points_arm(const char *below, const char *only, long point, int number, const char *listed) {
    strncpy(folder, below, sizeof folder - 1);
    strncpy(pattern, only, sizeof pattern - 1);
    length = strlen(folder);
    if (*listed) list = open(listed, O_WRONLY | O_CREAT | O_APPEND, 0600);
    wanted = point, seen = 0, signal_number = number, armed = getpid();
}

long kill_points_seen(void) { return seen; }

static int below(const char *path) {
    if (strncmp(path, folder, length) || (path[length] && path[length] != '/')) return 0;
    strcpy(here, path[length] ? path + length + 1 : ".");
    if (list >= 0) dprintf(list, "%s\n", here);
    return !fnmatch(pattern, here, 0);
}

static int inside(int directory, const char *path) {
    if (!armed || armed != getpid() || !path) return 0;
    char whole[2 * PATH_MAX], place[PATH_MAX];
    if (*path == '/') return below(path);
    if (directory == AT_FDCWD) {
        if (!getcwd(place, sizeof place)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t size = readlink(link, place, sizeof place - 1);
        if (size < 0) return 0;
        place[size] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", place, path);
    return below(whole);
}

static int written(int file) {
    if (!armed || armed != getpid()) return 0;
    char link[64], place[PATH_MAX];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, place, sizeof place - 1);
    errno = before;
    if (size < 0) return 0;
    place[size] = 0;
    return below(place);
}

static int now(void) { return __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) == wanted; }
static void end(void) { kill(getpid(), signal_number); }
static void point(int is_inside) { if (is_inside && now()) end(); }

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write);
    if (!written(file) || !now()) return real(file, bytes, count);
    ssize_t done = real(file, bytes, count > 1 ? count / 2 : count);
    end();
    return done;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    REAL(pwrite);
    if (!written(file) || !now()) return real(file, bytes, count, offset);
    ssize_t done = real(file, bytes, count > 1 ? count / 2 : count, offset);
    end();
    return done;
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) { return pwrite(file, bytes, count, offset); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    if (!written(file) || !now()) return real(file, parts, count);
    ssize_t done = real(file, parts, count > 1 ? count / 2 : count);
    end();
    return done;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
    REAL(sendfile);
    if (!written(to) || !now()) return real(to, from, offset, count);
    struct stat about;
    size_t half = fstat(from, &about) || about.st_size < 2 ? count : (size_t)about.st_size / 2;
    ssize_t done = real(to, from, offset, half < count ? half : count);
    end();
    return done;
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) { return sendfile(to, from, offset, count); }

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t count, unsigned flags) {
    REAL(copy_file_range);
    if (!written(to) || !now()) return real(from, at, to, there, count, flags);
    ssize_t done = real(from, at, to, there, count > 1 ? count / 2 : count, flags);
    end();
    return done;
}

#define POINT(call, condition, parameters, arguments) \
    int call parameters { REAL(call); point(condition); return real arguments; }

POINT(fsync, written(file), (int file), (file))
POINT(fdatasync, written(file), (int file), (file))
POINT(ftruncate, written(file), (int file, off_t size), (file, size))
POINT(ftruncate64, written(file), (int file, off64_t size), (file, size))
POINT(unlink, inside(AT_FDCWD, path), (const char *path), (path))
POINT(unlinkat, inside(at, path), (int at, const char *path, int flags), (at, path, flags))
POINT(rmdir, inside(AT_FDCWD, path), (const char *path), (path))
POINT(mkdir, inside(AT_FDCWD, path), (const char *path, mode_t mode), (path, mode))
POINT(mkdirat, inside(at, path), (int at, const char *path, mode_t mode), (at, path, mode))
POINT(rename, inside(AT_FDCWD, to), (const char *from, const char *to), (from, to))
POINT(renameat, inside(at, to), (int was, const char *from, int at, const char *to), (was, from, at, to))
POINT(symlink, inside(AT_FDCWD, path), (const char *to, const char *path), (to, path))
POINT(link, inside(AT_FDCWD, path), (const char *from, const char *path), (from, path))

#define OPEN(call, parameters, arguments, at) \
    int call parameters { \
        REAL(call); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        int file = real arguments; \
        if (file >= 0 && flags & (O_CREAT | O_TRUNC)) point(inside(at, path)); \
        return file; \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), at)
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), at)
