/*
 * Loaded into a delivery whose instructions valgrind counts, and into nothing else. Valgrind makes system calls of its own in
 * the process that it watches, more memory and descriptors than the product's limits, and files for what it counted: the
 * sandbox would end it. So the calls that close the sandbox are not made here; all that comes before them is, and is counted.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

/* landlock_create_ruleset, landlock_add_rule, landlock_restrict_self: the same on all architectures. */
enum { FIRST_OF_LANDLOCK = 444, LAST_OF_LANDLOCK = 446 };

static struct rlimit limits[RLIM_NLIMITS];
static char is_set[RLIM_NLIMITS];

/* A limit that is only remembered. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    limits[resource] = *limit;
    is_set[resource] = 1;
    return 0;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit) {
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    *limit = is_set[resource] ? limits[resource] : unlimited;
    return 0;
}

/* A filter that is not installed; a kernel without Landlock. The other numbers that the product uses take no more than six
 * arguments, like all of them. */
long syscall(long number, ...) {
    long argument[6], result;
    va_list arguments;
    if (number == SYS_seccomp) return 0;
    if (number >= FIRST_OF_LANDLOCK && number <= LAST_OF_LANDLOCK) {
        errno = ENOSYS;
        return -1;
    }
    va_start(arguments, number);
    for (int place = 0; place < 6; place++) argument[place] = va_arg(arguments, long);
    va_end(arguments);
#if defined(__x86_64__)
    register long fourth __asm__("r10") = argument[3];
    register long fifth __asm__("r8") = argument[4];
    register long sixth __asm__("r9") = argument[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(argument[0]), "S"(argument[1]), "d"(argument[2]), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = argument[0];
    register long x1 __asm__("x1") = argument[1];
    register long x2 __asm__("x2") = argument[2];
    register long x3 __asm__("x3") = argument[3];
    register long x4 __asm__("x4") = argument[4];
    register long x5 __asm__("x5") = argument[5];
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    result = x0;
#endif
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* What a child inherits has been counted in its parent. */
static void forked(void) { CALLGRIND_ZERO_STATS; }

__attribute__((constructor)) static void loaded(void) { pthread_atfork(0, 0, forked); }
