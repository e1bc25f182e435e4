// Standard input and output as one end of a connection between guest and host (vsock(7)):
//   vsock connect CID PORT    to there
//   vsock listen PORT         of the first who comes
// Says "ready" on standard error when it listens. Ends when the other side has sent all, and standard input is over.
#include <err.h>
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
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
    int connection = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (connection < 0) err(1, "socket");
    if (argc == 4 && !strcmp(argv[1], "connect")) {
        address.svm_cid = strtoul(argv[2], 0, 0);
        address.svm_port = strtoul(argv[3], 0, 0);
        if (connect(connection, (struct sockaddr *)&address, sizeof address)) err(1, "connect");
    } else if (argc == 3 && !strcmp(argv[1], "listen")) {
        int listener = connection;
        address.svm_port = strtoul(argv[2], 0, 0);
        if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) err(1, "listen");
        fprintf(stderr, "ready\n");
        connection = accept(listener, 0, 0);
        if (connection < 0) err(1, "accept");
    } else {
        errx(2, "vsock connect CID PORT, or vsock listen PORT");
    }
    struct pollfd ends[] = {{.fd = 0, .events = POLLIN}, {.fd = connection, .events = POLLIN}};
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
