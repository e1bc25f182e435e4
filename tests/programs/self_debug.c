// Uses the CPU's debug features from inside a Linux guest, as a debugger, a profiler and a tracer do there.
// self_debug WAY prints one line, "WAY: " and what the kernel reported, with addresses as distances, so that two runs compare.
#include <asm/ptrace.h>
#include <elf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char stepped[], entered[], stores[], brk_0[], brk_0x123[], by_branch[], by_add[];
extern char __executable_start[];

volatile uint64_t variable;

__asm__(".text\n"
        ".global stepped, entered, by_branch, by_add, store, stores, breaks, brk_0, brk_0x123\n"

        // Ends the process with status 7: a step that runs on does no harm.
        "stepped: mov x1, #1\n"
        "add x1, x1, #1\n"
        "bl 1f\n"
        "mov x8, #172\n" // getpid
        "svc #0\n"
        "mov x0, #7\n"
        "mov x8, #94\n" // exit_group
        "svc #0\n"
        "1: ret\n"

        "entered: nop\n"
        "ret\n"

        // For uprobes: a branch is simulated by the kernel, an addition executed out of line under single-step.
        "by_branch: b 1f\n"
        "1: ret\n"
        "by_add: add x1, x1, #1\n"
        "ret\n"

        // x0: where, x1: what.
        "store: nop\n"
        "stores: str x1, [x0]\n"
        "ret\n"

        "breaks: nop\n"
        "brk_0: brk #0\n"
        "brk_0x123: brk #0x123\n"
        "ret\n");

void store(volatile uint64_t *, uint64_t);
void breaks(void);

static void call(char *code) { ((void (*)(void))code)(); }

// A child that stops, so that its parent can set its trap, and then does something and exits.
static pid_t traced(void (*act)(void)) {
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        act();
        _exit((int)variable);
    }
    waitpid(child, NULL, 0);
    return child;
}

static uint64_t pc_of(pid_t child) {
    struct user_regs_struct regs = {0};
    struct iovec area = {&regs, sizeof regs};
    ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &area);
    return regs.pc;
}

static void set_pc(pid_t child, char *pc) {
    struct user_regs_struct regs = {0};
    struct iovec area = {&regs, sizeof regs};
    ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &area);
    regs.pc = (uint64_t)pc;
    ptrace(PTRACE_SETREGSET, child, NT_PRSTATUS, &area);
}

// Resumes the child. Returns whether it stopped with SIGTRAP; prints how it ended if it did not.
static int traps(pid_t child, int request) {
    int status = 0;
    ptrace(request, child, 0, 0);
    waitpid(child, &status, 0);
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
        return 1;
    if (WIFEXITED(status))
        printf(" exit %d\n", WEXITSTATUS(status));
    else
        printf(" status %x at %lx\n", (unsigned)status, (unsigned long)pc_of(child));
    return 0;
}

static void print_trap(pid_t child, char *pc, const volatile void *addr) {
    siginfo_t info = {0};
    ptrace(PTRACE_GETSIGINFO, child, 0, &info);
    printf(" code %d, address %+ld, pc %+ld;", info.si_code, (long)info.si_addr - (long)addr, (long)(pc_of(child) - (uint64_t)pc));
}

static void nothing(void) {}

static void step(void) {
    pid_t child = traced(nothing);
    set_pc(child, stepped);
    while (traps(child, PTRACE_SINGLESTEP))
        printf(" %lx", (unsigned long)(pc_of(child) - (uint64_t)stepped));
}

// One debug register of a traced child; control 0 turns it off.
static void set_debug_register(pid_t child, int kind, const volatile void *addr, uint32_t control) {
    struct user_hwdebug_state state = {0};
    struct iovec area = {&state, offsetof(struct user_hwdebug_state, dbg_regs[1])};
    state.dbg_regs[0].addr = (uint64_t)addr;
    state.dbg_regs[0].ctrl = control;
    ptrace(PTRACE_SETREGSET, child, kind, &area);
}

static void enter(void) {
    call(entered);
    variable = 9;
}

static void store_42(void) { store(&variable, 42); }

// DBGWCR: eight bytes, stores, EL0, enabled. The trap comes before the store.
static void watch(void) {
    pid_t child = traced(store_42);
    set_debug_register(child, NT_ARM_HW_WATCH, &variable, 0xff << 5 | 2 << 3 | 2 << 1 | 1);
    if (traps(child, PTRACE_CONT)) {
        print_trap(child, stores, &variable);
        set_debug_register(child, NT_ARM_HW_WATCH, &variable, 0);
        traps(child, PTRACE_CONT);
    }
}

// DBGBCR: four bytes, EL0, enabled.
static void hardware_break(void) {
    pid_t child = traced(enter);
    set_debug_register(child, NT_ARM_HW_BREAK, entered, 0xf << 5 | 2 << 1 | 1);
    if (traps(child, PTRACE_CONT)) {
        print_trap(child, entered, entered);
        set_debug_register(child, NT_ARM_HW_BREAK, entered, 0);
        traps(child, PTRACE_CONT);
    }
}

static void enter_three_times(void) {
    for (int n = 0; n < 3; n++)
        call(entered);
    variable = 9;
}

// What GDB does for a breakpoint and continue: plant, hit, remove, step, plant.
static void plant(void) {
    const long brk_and_ret = 0xd65f03c0d4200000;
    pid_t child = traced(enter_three_times);
    long original = ptrace(PTRACE_PEEKTEXT, child, entered, 0);
    ptrace(PTRACE_POKETEXT, child, entered, brk_and_ret);
    while (traps(child, PTRACE_CONT)) {
        print_trap(child, entered, entered);
        ptrace(PTRACE_POKETEXT, child, entered, original);
        if (!traps(child, PTRACE_SINGLESTEP))
            return;
        printf(" step %+ld;", (long)(pc_of(child) - (uint64_t)entered));
        ptrace(PTRACE_POKETEXT, child, entered, brk_and_ret);
    }
}

// The kernel counts a hit and single-steps over the store.
static void perf(void) {
    struct perf_event_attr attr = {
        .type = PERF_TYPE_BREAKPOINT,
        .size = sizeof attr,
        .bp_type = 2, // HW_BREAKPOINT_W
        .bp_addr = (uint64_t)&variable,
        .bp_len = 8,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    long event = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    uint64_t count = 0;
    for (uint64_t n = 1; n <= 3; n++)
        store(&variable, n);
    if (read((int)event, &count, sizeof count) != sizeof count)
        printf(" no count;");
    printf(" %lu stores counted\n", (unsigned long)count);
}

static void on_trap(int signal, siginfo_t *info, void *context) {
    ucontext_t *user = context;
    char *brk = user->uc_mcontext.pc == (uint64_t)brk_0 ? brk_0 : brk_0x123;
    printf(" signal %d, code %d, address %+ld, pc %+ld;", signal, info->si_code, (long)((char *)info->si_addr - brk),
           (long)(user->uc_mcontext.pc - (uint64_t)brk));
    user->uc_mcontext.pc += 4;
}

static void own_brk(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    breaks();
    printf(" done\n");
}

static void call_three_times(char *code) {
    for (int n = 0; n < 3; n++)
        call(code);
    printf(" done\n");
}

static unsigned long offset_in_file(char *code) { return (unsigned long)(code - __executable_start); }

int main(int count, char **arguments) {
    const char *way = count > 1 ? arguments[1] : "";
    // A fork must not inherit what is not printed yet.
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(way, "offsets") == 0) {
        printf("by_branch=%#lx by_add=%#lx\n", offset_in_file(by_branch), offset_in_file(by_add));
        return 0;
    }
    printf("%s:", way);
    if (strcmp(way, "step") == 0) step();
    else if (strcmp(way, "watch") == 0) watch();
    else if (strcmp(way, "break") == 0) hardware_break();
    else if (strcmp(way, "plant") == 0) plant();
    else if (strcmp(way, "perf") == 0) perf();
    else if (strcmp(way, "brk") == 0) own_brk();
    else if (strcmp(way, "by_branch") == 0) call_three_times(by_branch);
    else if (strcmp(way, "by_add") == 0) call_three_times(by_add);
    else return 2;
    return 0;
}
