// Runs a program in the host as if KVM lacked features for debuggers: kvm_without FEATURE PROGRAM [ARGUMENT]...
//   step    KVM_GUESTDBG_SINGLESTEP
//   hw      KVM_GUESTDBG_USE_HW, and with it the debug registers
//   debug   KVM_SET_GUEST_DEBUG
// KVM_CHECK_EXTENSION says so, and KVM_SET_GUEST_DEBUG fails with EINVAL, as KVM's own does, if the program wants what is missing all the
// same. A seccomp filter hands both ioctls to another process (seccomp_unotify(2)): a static program has no use for LD_PRELOAD.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Control bits of KVM_SET_GUEST_DEBUG that are missing.
static __u32 missing;
// KVM_CAP_SET_GUEST_DEBUG2 of the real KVM.
static __u32 modes;

static int fail(const char *what)
{
    perror(what);
    return 125;
}

// What KVM_CHECK_EXTENSION answers, or -1 for the truth.
static long long extension(__u64 capability)
{
    int lacks_registers = (missing & KVM_GUESTDBG_USE_HW) != 0;
    int lacks_all = missing == ~0u;
    switch (capability) {
    case KVM_CAP_SET_GUEST_DEBUG:
        return lacks_all ? 0 : -1;
    case KVM_CAP_SET_GUEST_DEBUG2:
        return modes & ~missing;
    case KVM_CAP_GUEST_DEBUG_HW_BPS:
    case KVM_CAP_GUEST_DEBUG_HW_WPS:
        return lacks_registers ? 0 : -1;
    default:
        return -1;
    }
}

static void answer(const struct seccomp_notif *call, struct seccomp_notif_resp *reply)
{
    __u64 request = call->data.args[1], argument = call->data.args[2];
    reply->id = call->id;
    if (request == KVM_CHECK_EXTENSION) {
        reply->val = extension(argument);
        if (reply->val >= 0)
            return;
    } else {
        __u32 control;
        struct iovec to = { &control, sizeof(control) }, from = { (void *)argument, sizeof(control) };
        if (process_vm_readv(call->pid, &to, 1, &from, 1, 0) != sizeof(control) || control & missing) {
            reply->val = 0;
            reply->error = -EINVAL;
            return;
        }
    }
    reply->val = 0;
    reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

// Answers until the program ends, and this process with it.
static _Noreturn void serve(int listener)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The program's streams must end when it does.
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    for (;;) {
        struct seccomp_notif call;
        struct seccomp_notif_resp reply;
        memset(&call, 0, sizeof(call));
        memset(&reply, 0, sizeof(reply));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) {
            answer(&call, &reply);
            ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 125;
    if (!strcmp(argv[1], "step"))
        missing = KVM_GUESTDBG_SINGLESTEP;
    else if (!strcmp(argv[1], "hw"))
        missing = KVM_GUESTDBG_USE_HW;
    else if (!strcmp(argv[1], "debug"))
        missing = ~0u;
    else
        return 125;

    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        return fail("/dev/kvm");
    modes = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);

    // Low word of the request, little-endian.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_CHECK_EXTENSION, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_SET_GUEST_DEBUG, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0)
        return fail("seccomp");
    // The program keeps this process's number, so that signals and the exit status are its own.
    switch (fork()) {
    case -1:
        return fail("fork");
    case 0:
        serve(listener);
    }
    execv(argv[2], argv + 2);
    return fail(argv[2]);
}
