// Memory tagging (Linux Documentation/arch/arm64/memory-tagging-extension.rst): reads through a pointer that has the memory's tag, and through one that has
// another, and says what came of it.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static void caught(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    // SEGV_MTESERR is 9.
    printf("another tag: SIGSEGV with code %d\n", info->si_code);
    exit(0);
}

int main(void)
{
    const unsigned long tags_but_0 = 0xfffeUL << PR_MTE_TAG_SHIFT;
    if (prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | tags_but_0, 0, 0, 0) < 0) {
        perror("PR_SET_TAGGED_ADDR_CTRL");
        return 1;
    }
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("PROT_MTE");
        return 1;
    }
    char *tagged;
    __asm__ volatile(".arch armv8.5-a+memtag\n irg %0, %1\n stg %0, [%0]" : "=&r"(tagged) : "r"(memory) : "memory");
    *tagged = 42;
    printf("its tag: %d\n", *(volatile char *)tagged);
    struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, NULL);
    volatile char *other = (char *)((unsigned long)tagged ^ 1UL << 56);
    printf("another tag: %d\n", *other);
    return 1;
}
