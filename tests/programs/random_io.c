// Random I/O on a disk, for tests/tests/disk_linux.rs: random_io DEVICE BYTES
//
// Writes runs of sectors at random places with O_DIRECT, each sector filled with the number of its write and its own place, and reads random
// runs back, each sector of which must be as it was written last. After each 16 writes come fdatasync and `durable N` on standard output: writes 1 to N are
// to be found on the disk whatever happens. Goes on until it is killed. What goes wrong ends it with a message.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512
#define MOST 128
#define WORDS (SECTOR / 8)

static uint64_t state = 88172645463325252;

// xorshift64 (Marsaglia 2003): the test does the same to know the writes.
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fail(const char *what) {
    printf("random_io: %s: %s\n", what, strerror(errno));
    exit(1);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    int disk = argc == 3 ? open(argv[1], O_RDWR | O_DIRECT) : -1;
    if (disk < 0)
        fail("open");
    uint64_t sectors = strtoull(argv[2], NULL, 0) / SECTOR;
    uint32_t *last = calloc(sectors, sizeof *last);
    uint64_t *buffer;
    if (!last || posix_memalign((void **)&buffer, 4096, MOST * SECTOR))
        fail("memory");
    for (uint32_t number = 1;; number++) {
        uint64_t count = 1 + next() % MOST, first = next() % (sectors - count);
        for (uint64_t at = 0; at < count; at++) {
            for (int word = 0; word < WORDS; word++)
                buffer[at * WORDS + word] = word % 2 ? first + at : number;
            last[first + at] = number;
        }
        if (pwrite(disk, buffer, count * SECTOR, first * SECTOR) != (ssize_t)(count * SECTOR))
            fail("write");
        if (number % 16)
            continue;
        if (fdatasync(disk))
            fail("fdatasync");
        printf("durable %u\n", number);
        // Not of the numbers that the test follows: the place of the last write, and around it.
        uint64_t from = first / 2;
        if (pread(disk, buffer, MOST * SECTOR, from * SECTOR) != MOST * SECTOR)
            fail("read");
        for (uint64_t at = 0; at < MOST; at++)
            for (int word = 0; word < WORDS; word++)
                if (last[from + at] && buffer[at * WORDS + word] != (word % 2 ? from + at : last[from + at])) {
                    printf("random_io: sector %llu is not as write %u left it\n", (unsigned long long)(from + at), last[from + at]);
                    return 1;
                }
    }
}
