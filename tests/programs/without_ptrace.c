// Runs a program that cannot have CAP_SYS_PTRACE, whoever runs it: without_ptrace PROGRAM [ARGUMENT]...
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "without_ptrace PROGRAM [ARGUMENT]...\n");
        return 125;
    }
    // Nobody but root has what root gives up here (capabilities(7), execve of root's programs).
    if (geteuid() == 0 && prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) < 0) {
        perror("PR_CAPBSET_DROP");
        return 125;
    }
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return 125;
}
