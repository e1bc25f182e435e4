// tap NAME USER: a TAP interface of the user of this number, which stays (Linux, Documentation/networking/tuntap.rst).
#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/if_tun.h>

int main(int argc, char **argv) {
    if (argc != 3) errx(2, "tap NAME USER");
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
    int tun = open("/dev/net/tun", O_RDWR);
    if (tun < 0) err(1, "/dev/net/tun");
    if (ioctl(tun, TUNSETIFF, &request)) err(1, "TUNSETIFF");
    if (ioctl(tun, TUNSETOWNER, strtoul(argv[2], 0, 0))) err(1, "TUNSETOWNER");
    if (ioctl(tun, TUNSETPERSIST, 1)) err(1, "TUNSETPERSIST");
    return 0;
}
