/*
 * Stands between the program and the kernel while a test runs: writes down what the program does to the files of one
 * folder, makes calls fail, and shifts the wall clock. Loaded by LD_PRELOAD; shim.rs builds it and tells it what to do.
 *
 * The kernel itself hands each call over (seccomp, SIGSYS): what libraries do past libc is seen as well. Calls on the
 * folder are made and written down one after the other, so the record is their true order. A call that could change
 * the folder in a way that the record has no words for ends the program with a message. Syncs are written down and not
 * made: what the record shows decides what a power cut leaves. Linux on x86-64.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FULL_PATH (2 * PATH_MAX)
#define SECTOR 512

/* What the test tells, in a page that both share; shim.rs has the same offsets. */
struct control {
    _Atomic int64_t clock_offset; /* nanoseconds that the wall clock is ahead */
    _Atomic uint64_t fault;       /* what fails: FAULT_WRITE, FAULT_SYNC, or 0 */
    _Atomic uint64_t skip;        /* so many such calls are made before */
    _Atomic uint64_t struck;      /* how many have failed */
    char fault_path[256];         /* the paths of the files that it strikes begin so, below the folder */
};
enum { FAULT_WRITE = 1, FAULT_SYNC = 2 };

/* What begins each entry of the record; then come the paths and the bytes. record.rs reads it. */
struct entry {
    uint8_t kind;
    uint8_t unused[3];
    uint16_t path_bytes;
    uint16_t other_path_bytes;
    uint64_t file; /* inode */
    uint64_t offset;
    uint64_t length;
};
enum kind {
    CREATED = 'c', DIRECTORY = 'd', WRITTEN = 'w', ZEROS = 'z', LENGTH = 'l', SYNCED = 's', SYNC_FAILED = 'f',
    RENAMED = 'r', REMOVED = 'u', ANSWERED = 'a',
};

static struct control *control;
static char folder[PATH_MAX];
static size_t folder_bytes;
static int record = -1;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int (*true_clock)(clockid_t, struct timespec *);

/* A call that the kernel does not hand over: the filter knows the address after this one instruction. */
long shim_gate(long number, long a, long b, long c, long d, long e, long f);
extern char shim_gate_return[];
__asm__(".text\n"
        ".hidden shim_gate\n.globl shim_gate\n.type shim_gate,@function\n"
        "shim_gate:\n"
        "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n  mov %r9, %r8\n  mov 8(%rsp), %r9\n"
        "  syscall\n"
        ".hidden shim_gate_return\n.globl shim_gate_return\n"
        "shim_gate_return:\n"
        "  ret\n");

static void give_up(const char *why, const char *where)
{
    const char *parts[] = {"shim: ", why, " ", where, "\n"};
    for (size_t i = 0; i < COUNT(parts); i++)
        shim_gate(SYS_write, 2, (long)parts[i], (long)strlen(parts[i]), 0, 0, 0);
    abort();
}

/* ---- the record ---- */

static void write_all(const void *bytes, size_t count)
{
    while (count > 0) {
        long written = shim_gate(SYS_write, record, (long)bytes, (long)count, 0, 0, 0);
        if (written <= 0)
            give_up("the record cannot be written", "");
        bytes = (const char *)bytes + written;
        count -= (size_t)written;
    }
}

static void note(enum kind kind, const char *path, const char *other, uint64_t file, uint64_t offset, uint64_t length)
{
    struct entry entry = {.kind = (uint8_t)kind, .file = file, .offset = offset, .length = length};
    entry.path_bytes = (uint16_t)(path ? strlen(path) : 0);
    entry.other_path_bytes = (uint16_t)(other ? strlen(other) : 0);
    write_all(&entry, sizeof entry);
    write_all(path, entry.path_bytes);
    write_all(other, entry.other_path_bytes);
}

static int is_zeros(const char *bytes, size_t count)
{
    return count > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
}

static void note_write(uint64_t file, uint64_t offset, const char *bytes, size_t count)
{
    if (is_zeros(bytes, count)) {
        note(ZEROS, NULL, NULL, file, offset, count);
        return;
    }
    note(WRITTEN, NULL, NULL, file, offset, count);
    write_all(bytes, count);
}

static void note_answer(const struct iovec *parts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    pthread_mutex_lock(&one_at_a_time);
    note(ANSWERED, NULL, NULL, 0, 0, bytes);
    for (size_t i = 0; i < count; i++)
        write_all(parts[i].iov_base, parts[i].iov_len);
    pthread_mutex_unlock(&one_at_a_time);
}

/* ---- files and paths ---- */

static uint64_t inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* What the system calls an open file; empty if it is not open. */
static void name_of(int fd, char name[PATH_MAX])
{
    char link[64] = "/proc/self/cwd";
    if (fd != AT_FDCWD) {
        strcpy(link, "/proc/self/fd/");
        char digits[16], *digit = digits;
        unsigned number = fd < 0 ? 0 : (unsigned)fd;
        do
            *digit++ = (char)('0' + number % 10);
        while ((number /= 10) > 0);
        char *end = link + strlen(link);
        while (digit > digits)
            *end++ = *--digit;
        *end = 0;
    }
    ssize_t bytes = readlink(link, name, PATH_MAX - 1);
    name[bytes < 0 ? 0 : bytes] = 0;
}

static int is_inside(const char *path)
{
    return strncmp(path, folder, folder_bytes) == 0 && (path[folder_bytes] == '/' || path[folder_bytes] == 0);
}

static int is_file_inside(int fd)
{
    char name[PATH_MAX];
    name_of(fd, name);
    return is_inside(name);
}

/* The whole path of a name; whether it lies in the folder. */
static int resolve(int directory, const char *name, char path[FULL_PATH])
{
    path[0] = 0;
    if (name[0] != '/') {
        name_of(directory, path);
        strcat(path, "/");
    }
    if (strlen(path) + strlen(name) >= FULL_PATH)
        give_up("this path is too long:", name);
    strcat(path, name);
    return is_inside(path);
}

/* ---- calls on the folder ---- */

/* Whether this call is the one to fail. */
static int strikes(uint64_t fault, const char *name)
{
    const char *prefix = control->fault_path;
    if (control->fault != fault || strncmp(name + folder_bytes + 1, prefix, strlen(prefix)) != 0)
        return 0;
    if (control->skip > 0) {
        control->skip--;
        return 0;
    }
    control->fault = 0;
    control->struck++;
    return 1;
}

/* A write of `count` bytes; one that fails reaches the file halfway. */
static long write_inside(const char *name, long number, int fd, const char *bytes, size_t count, long offset)
{
    int fails = strikes(FAULT_WRITE, name);
    size_t wanted = fails ? count / 2 / SECTOR * SECTOR : count;
    long written = shim_gate(number, fd, (long)bytes, (long)wanted, offset, 0, 0);
    if (written > 0) {
        uint64_t at = number == SYS_pwrite64 ? (uint64_t)offset : (uint64_t)lseek(fd, 0, SEEK_CUR) - (uint64_t)written;
        note_write(inode_of(fd), at, bytes, (size_t)written);
    }
    return fails ? -EIO : written;
}

static long vector_inside(const char *name, int fd, const struct iovec *parts, size_t count)
{
    long sum = 0;
    for (size_t i = 0; i < count; i++) {
        long written = write_inside(name, SYS_write, fd, parts[i].iov_base, parts[i].iov_len, 0);
        if (written < 0)
            return sum > 0 ? sum : written;
        sum += written;
        if ((size_t)written < parts[i].iov_len)
            break;
    }
    return sum;
}

static long sync_inside(const char *name, int fd)
{
    int fails = strikes(FAULT_SYNC, name);
    note(fails ? SYNC_FAILED : SYNCED, NULL, NULL, inode_of(fd), 0, 0);
    return fails ? -EIO : 0;
}

static long set_length(int fd, uint64_t length)
{
    long done = shim_gate(SYS_ftruncate, fd, (long)length, 0, 0, 0, 0);
    if (done == 0)
        note(LENGTH, NULL, NULL, inode_of(fd), 0, length);
    return done;
}

static long open_inside(int directory, const char *name, int flags, int mode, const char *path)
{
    if ((flags & O_TMPFILE) == O_TMPFILE)
        give_up("a file without a name in", path);
    struct stat status;
    int existed = lstat(path, &status) == 0;
    long fd = shim_gate(SYS_openat, directory, (long)name, flags, mode, 0, 0);
    if (fd >= 0 && !existed)
        note(CREATED, path, NULL, inode_of((int)fd), 0, 0);
    else if (fd >= 0 && (flags & O_TRUNC) && status.st_size > 0)
        note(LENGTH, NULL, NULL, inode_of((int)fd), 0, 0);
    return fd;
}

static long make_directory(int directory, const char *name, int mode, const char *path)
{
    long done = shim_gate(SYS_mkdirat, directory, (long)name, mode, 0, 0, 0);
    struct stat status;
    if (done == 0 && stat(path, &status) == 0)
        note(DIRECTORY, path, NULL, status.st_ino, 0, 0);
    return done;
}

static long rename_to(int from, const char *old, int to, const char *new, unsigned flags)
{
    char old_path[FULL_PATH], new_path[FULL_PATH];
    int inside = resolve(from, old, old_path) + resolve(to, new, new_path);
    long done = shim_gate(SYS_renameat2, from, (long)old, to, (long)new, flags, 0);
    if (inside == 1 || (inside == 2 && (flags & RENAME_EXCHANGE)))
        give_up("a rename without words:", new_path);
    if (done == 0 && inside == 2)
        note(RENAMED, old_path, new_path, 0, 0, 0);
    return done;
}

static long remove_name(int directory, const char *name, int flags, const char *path)
{
    long done = shim_gate(SYS_unlinkat, directory, (long)name, flags, 0, 0, 0);
    if (done == 0)
        note(REMOVED, path, NULL, 0, 0, 0);
    return done;
}

/* ---- what the kernel hands over ---- */

/* A call on an open file; `inside` says that it lies in the folder. */
static long call_on_file(long number, const long *a, const char *name, int inside)
{
    int fd = (int)a[0];
    switch (number) {
    case SYS_write:
    case SYS_pwrite64:
        if (inside)
            return write_inside(name, number, fd, (const char *)a[1], (size_t)a[2], a[3]);
        break;
    case SYS_writev:
        if (inside)
            return vector_inside(name, fd, (const struct iovec *)a[1], (size_t)a[2]);
        break;
    case SYS_fsync:
    case SYS_fdatasync:
        if (inside)
            return sync_inside(name, fd);
        break;
    case SYS_ftruncate:
        if (inside)
            return set_length(fd, (uint64_t)a[1]);
        break;
    default:
        if (inside)
            give_up("a call without words on", name);
    }
    return shim_gate(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Whatever goes out through a socket was told to somebody: it stands in the record before it goes. */
static void note_if_answer(long number, const long *a, const char *name)
{
    if (strncmp(name, "socket:", 7) != 0)
        return;
    struct iovec one = {(void *)a[1], (size_t)a[2]};
    if (number == SYS_write || number == SYS_sendto)
        note_answer(&one, 1);
    else if (number == SYS_writev)
        note_answer((const struct iovec *)a[1], (size_t)a[2]);
    else if (number == SYS_sendmsg)
        note_answer(((const struct msghdr *)a[1])->msg_iov, ((const struct msghdr *)a[1])->msg_iovlen);
}

/* Copies within the kernel are not taken on: who asks for one copies by itself then. */
static long copy_to(long number, const long *a, int target)
{
    return is_file_inside(target) ? -ENOSYS : shim_gate(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long call_on_path(long number, const long *a)
{
    char path[FULL_PATH];
    int directory = AT_FDCWD, flags = 0, is_removal = 0;
    const char *name = (const char *)a[0];
    switch (number) {
    case SYS_openat:
    case SYS_mkdirat:
    case SYS_unlinkat:
        directory = (int)a[0];
        name = (const char *)a[1];
    }
    int inside = resolve(directory, name, path);
    switch (number) {
    case SYS_open:
    case SYS_openat: {
        const long *rest = number == SYS_open ? a + 1 : a + 2;
        if (inside && ((int)rest[0] & (O_CREAT | O_TRUNC)))
            return open_inside(directory, name, (int)rest[0], (int)rest[1], path);
        return shim_gate(SYS_openat, directory, (long)name, rest[0], rest[1], 0, 0);
    }
    case SYS_mkdir:
    case SYS_mkdirat: {
        int mode = (int)(number == SYS_mkdir ? a[1] : a[2]);
        if (inside)
            return make_directory(directory, name, mode, path);
        return shim_gate(SYS_mkdirat, directory, (long)name, mode, 0, 0, 0);
    }
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_unlinkat:
        is_removal = 1;
        flags = number == SYS_unlinkat ? (int)a[2] : number == SYS_rmdir ? AT_REMOVEDIR : 0;
    }
    if (is_removal && inside)
        return remove_name(directory, name, flags, path);
    if (is_removal)
        return shim_gate(SYS_unlinkat, directory, (long)name, flags, 0, 0, 0);
    if (inside)
        give_up("a call without words on", path);
    return shim_gate(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static long take_over(long number, const long *a)
{
    char name[PATH_MAX];
    long done;
    switch (number) {
    case SYS_sendfile:
        return copy_to(number, a, (int)a[0]);
    case SYS_copy_file_range:
    case SYS_splice:
        return copy_to(number, a, (int)a[2]);
    case SYS_io_uring_setup:
        return -ENOSYS;
    case SYS_mmap:
        name_of((int)a[4], name);
        if (!(a[3] & MAP_ANONYMOUS) && is_inside(name))
            give_up("a shared mapping for writing of", name);
        return shim_gate(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_sync_file_range:
    case SYS_syncfs:
        name_of((int)a[0], name);
        if (!is_inside(name)) {
            note_if_answer(number, a, name);
            return call_on_file(number, a, name, 0);
        }
        pthread_mutex_lock(&one_at_a_time);
        done = call_on_file(number, a, name, 1);
        break;
    case SYS_rename:
        pthread_mutex_lock(&one_at_a_time);
        done = rename_to(AT_FDCWD, (const char *)a[0], AT_FDCWD, (const char *)a[1], 0);
        break;
    case SYS_renameat:
    case SYS_renameat2:
        pthread_mutex_lock(&one_at_a_time);
        done = rename_to((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3],
                         number == SYS_renameat2 ? (unsigned)a[4] : 0);
        break;
    case SYS_link:
    case SYS_symlink:
        give_up("a call without words on", (const char *)a[1]);
        return -ENOSYS;
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_openat2:
        give_up("a call without words on", (const char *)a[number == SYS_linkat ? 3 : number == SYS_symlinkat ? 2 : 1]);
        return -ENOSYS;
    default:
        pthread_mutex_lock(&one_at_a_time);
        done = call_on_path(number, a);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

static void on_call(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    int saved = errno;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    long arguments[] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                        registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
    registers[REG_RAX] = take_over(info->si_syscall, arguments);
    errno = saved;
}

static const int CALLS[] = {
    SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_sendto, SYS_sendmsg, SYS_fsync, SYS_fdatasync,
    SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_sync_file_range, SYS_syncfs, SYS_sendfile, SYS_copy_file_range,
    SYS_splice, SYS_open, SYS_openat, SYS_openat2, SYS_creat, SYS_mkdir, SYS_mkdirat, SYS_unlink, SYS_unlinkat,
    SYS_rmdir, SYS_rename, SYS_renameat, SYS_renameat2, SYS_link, SYS_linkat, SYS_symlink, SYS_symlinkat,
    SYS_io_uring_setup,
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(field))
#define IF(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (uint32_t)(value), (yes), (no))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define HALF(index) (offsetof(struct seccomp_data, args) + 8 * (index))

/* From here on the kernel hands over the calls above, and mappings that are shared and can be written. */
static void ask_for_calls(void)
{
    struct sock_filter filter[COUNT(CALLS) + 12];
    size_t at = 0;
    filter[at++] = (struct sock_filter)LOAD(offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        uint8_t to_address = (uint8_t)(COUNT(CALLS) - i - 1 + 6);
        filter[at++] = (struct sock_filter)IF(BPF_JEQ, CALLS[i], to_address, 0);
    }
    uintptr_t gate = (uintptr_t)shim_gate_return;
    size_t address = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter rest[] = {
        IF(BPF_JEQ, SYS_mmap, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        LOAD(HALF(3)),
        IF(BPF_JSET, MAP_SHARED, 0, 6),
        LOAD(HALF(2)),
        IF(BPF_JSET, PROT_WRITE, 0, 4),
        LOAD(address), /* where each of the calls goes on */
        IF(BPF_JEQ, gate & 0xffffffff, 0, 3),
        LOAD(address + 4),
        IF(BPF_JEQ, gate >> 32, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_TRAP),
    };
    memcpy(filter + at, rest, sizeof rest);
    struct sock_fprog program = {(unsigned short)(at + COUNT(rest)), filter};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        give_up("the kernel does not hand over calls", "");
}

__attribute__((constructor)) static void begin(void)
{
    true_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *control_path = getenv("SHIM_CONTROL"), *record_path = getenv("SHIM_RECORD");
    const char *folder_path = getenv("SHIM_FOLDER");
    int page = control_path ? open(control_path, O_RDWR | O_CLOEXEC) : -1;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
    if (true_clock == NULL || page < 0 || shared == MAP_FAILED)
        give_up("no control page", "");
    control = shared;
    close(page);
    if (record_path == NULL)
        return;
    record = open(record_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (record < 0 || folder_path == NULL || strlen(folder_path) >= sizeof folder)
        give_up("no record or no folder", "");
    strcpy(folder, folder_path);
    folder_bytes = strlen(folder);
    ask_for_calls();
}

/* ---- the wall clock: the kernel is not asked for it, so it is taken here ---- */

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = true_clock(clock, time);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return failed;
    int64_t nanoseconds = time->tv_nsec + control->clock_offset % 1000000000;
    time->tv_sec += control->clock_offset / 1000000000 + (nanoseconds >= 1000000000) - (nanoseconds < 0);
    time->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
