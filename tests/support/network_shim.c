/* Loaded before libc (LD_PRELOAD), it notes each connection, each datagram with an address, each
   listening address and each name look-up of a process and of all that it starts, in Python or in
   native code. What would leave this machine is noted and refused.

   One line a call in the file that NETWORK_RECORD names: CALL ADDRESS-OR-NAME PROGRAM */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void note(const char *call, const char *what) {
    const char *path = getenv("NETWORK_RECORD");
    char line[512];
    int saved = errno;
    int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0) {
        int n = snprintf(line, sizeof line, "%s %s %s\n", call, what, program_invocation_short_name);
        if (n >= (int)sizeof line) n = sizeof line - 1;
        if (write(file, line, n) != n) abort();
        close(file);
    }
    errno = saved;
}

__attribute__((constructor)) static void start(void) { note("start", "-"); }

/* Whether the address is on this machine; addresses of other families always are. */
static int is_here(const struct sockaddr *address, char *text, size_t size) {
    if (address->sa_family == AF_INET) {
        const struct in_addr *ip = &((const struct sockaddr_in *)address)->sin_addr;
        inet_ntop(AF_INET, ip, text, size);
        return (ntohl(ip->s_addr) >> 24) == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *ip = &((const struct sockaddr_in6 *)address)->sin6_addr;
        inet_ntop(AF_INET6, ip, text, size);
        if (IN6_IS_ADDR_V4MAPPED(ip)) return ip->s6_addr[12] == 127;
        return IN6_IS_ADDR_LOOPBACK(ip);
    }
    text[0] = 0;
    return 1;
}

/* Notes an internet address; 0 where the call may go on. */
static int judge(const char *call, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN];
    int here = is_here(address, text, sizeof text);
    if (text[0]) note(call, text);
    return here ? 0 : -1;
}

int connect(int file, const struct sockaddr *address, socklen_t size) {
    if (address && judge("connect", address)) {
        errno = ENETUNREACH;
        return -1;
    }
    return REAL(connect)(file, address, size);
}

ssize_t sendto(int file, const void *data, size_t n, int flags, const struct sockaddr *address,
               socklen_t size) {
    if (address && judge("send", address)) {
        errno = ENETUNREACH;
        return -1;
    }
    return REAL(sendto)(file, data, n, flags, address, size);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags) {
    if (message && message->msg_name && judge("send", message->msg_name)) {
        errno = ENETUNREACH;
        return -1;
    }
    return REAL(sendmsg)(file, message, flags);
}

int bind(int file, const struct sockaddr *address, socklen_t size) {
    if (address) judge("bind", address);
    return REAL(bind)(file, address, size);
}

/* Whether no other machine is asked: no name, an address, or this machine. */
static int is_own(const char *name) {
    unsigned char ip[16];
    char host[256] = "";
    if (!name || !*name || !strcmp(name, "localhost")) return 1;
    gethostname(host, sizeof host - 1);
    return !strcmp(name, host) || inet_pton(AF_INET, name, ip) == 1 ||
           inet_pton(AF_INET6, name, ip) == 1;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    if (!is_own(name)) {
        note("look-up", name);
        return EAI_NONAME;
    }
    return REAL(getaddrinfo)(name, service, hints, found);
}

struct hostent *gethostbyname(const char *name) {
    if (!is_own(name)) {
        note("look-up", name);
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    return REAL(gethostbyname)(name);
}

struct hostent *gethostbyname2(const char *name, int family) {
    if (!is_own(name)) {
        note("look-up", name);
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    return REAL(gethostbyname2)(name, family);
}

int gethostbyname_r(const char *name, struct hostent *result, char *buffer, size_t size,
                    struct hostent **found, int *error) {
    if (!is_own(name)) {
        note("look-up", name);
        *found = NULL;
        *error = HOST_NOT_FOUND;
        return 0;
    }
    return REAL(gethostbyname_r)(name, result, buffer, size, found, error);
}
