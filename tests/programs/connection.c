// Standard input and output as one end of a connection:
//   connection vsock connect CID PORT    to there, of guest or host (vsock(7))
//   connection vsock listen PORT         of the first who comes
//   connection tcp connect ADDRESS PORT  the same by IPv4
//   connection tcp listen PORT
// Says "ready" on standard error when it listens. Ends when the other side has sent all, and standard input is over. Without a standard input (`<&-`)
// its own direction stays open until then.
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static char buffer[1 << 18];

// Hands on what there is. 0 at the end.
static int pass(int from, int to) {
    ssize_t count = read(from, buffer, sizeof buffer);
    if (count < 0) err(1, "read");
    for (ssize_t at = 0; at < count;) {
        ssize_t done = write(to, buffer + at, count - at);
        if (done < 0) err(1, "write");
        at += done;
    }
    return count > 0;
}

int main(int argc, char **argv) {
    int connects = argc == 5 && !strcmp(argv[2], "connect"), listens = argc == 4 && !strcmp(argv[2], "listen");
    int is_vsock = argc > 1 && !strcmp(argv[1], "vsock");
    if (!connects && !listens) errx(2, "connection vsock|tcp connect ADDRESS PORT, or connection vsock|tcp listen PORT");
    int sends = fcntl(0, F_GETFD) >= 0;
    if (!sends && open("/dev/null", O_RDONLY)) err(1, "/dev/null");
    unsigned port = strtoul(argv[argc - 1], 0, 0);
    struct sockaddr_vm vsock = {.svm_family = AF_VSOCK, .svm_cid = connects ? strtoul(argv[3], 0, 0) : VMADDR_CID_ANY, .svm_port = port};
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (connects && !is_vsock && !inet_aton(argv[3], &tcp.sin_addr)) errx(2, "no address: %s", argv[3]);
    struct sockaddr *address = is_vsock ? (struct sockaddr *)&vsock : (struct sockaddr *)&tcp;
    socklen_t size = is_vsock ? sizeof vsock : sizeof tcp;
    int connection = socket(address->sa_family, SOCK_STREAM, 0);
    if (connection < 0) err(1, "socket");
    if (connects) {
        if (connect(connection, address, size)) err(1, "connect");
    } else {
        int listener = connection;
        if (bind(listener, address, size) || listen(listener, 1)) err(1, "listen");
        fprintf(stderr, "ready\n");
        connection = accept(listener, 0, 0);
        if (connection < 0) err(1, "accept");
    }
    struct pollfd ends[] = {{.fd = sends ? 0 : -1, .events = POLLIN}, {.fd = connection, .events = POLLIN}};
    while (ends[0].fd >= 0 || ends[1].fd >= 0) {
        if (poll(ends, 2, -1) < 0) err(1, "poll");
        if (ends[0].revents && !pass(0, connection)) {
            ends[0].fd = -1;
            ends[0].revents = 0;
            shutdown(connection, SHUT_WR);
        }
        if (ends[1].revents && !pass(connection, 1)) {
            ends[1].fd = -1;
            ends[1].revents = 0;
        }
    }
    return 0;
}
