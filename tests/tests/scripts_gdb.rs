//! GDB with `scripts/gdb/minivmm.py` and the kernel's own scripts, in the tree of one who builds the kernel: from head.S with the
//! MMU off to a module's functions, with KASLR and without. GDB runs where its user is, not in an emulated host, where it would
//! take half a minute to load the symbols.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{Gdb, Minivmm, bare_guest, initramfs, scratch, skip};

/// The shell of the guest's initramfs.
const PROMPT: &str = "/root # ";

/// The guest's clock goes on while it is stopped, and where GDB is slow that is long enough for RCU.
const CMDLINE: &str = "console=ttyAMA0 quiet panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A debugger of scripts/setup, or on arm64, for which that has none, the user's own if there is one.
fn debugger(name: &str) -> Option<PathBuf> {
    let own = tests::guest("../bin").join(name);
    if own.is_file() {
        return Some(own);
    }
    assert_eq!(env::consts::ARCH, "aarch64", "there is no {}", own.display());
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The kernel of this version waiting at its first instruction, with a module in its initramfs, and GDB with its
/// symbols and scripts, connected.
fn debug(program: &Path, kernel: &str, kaslr: &str) -> (Minivmm, Gdb) {
    let port = Minivmm::free_port();
    let tree = tests::guest(&format!("linux-{kernel}"));
    let module = tests::guest(&format!("binfmt_misc-{kernel}.ko.xz"));
    let minivmm = Minivmm::spawn(
        Command::new(root().join("scripts/minivmm"))
            .arg("--kernel")
            .arg(tests::guest(&format!("Image-{kernel}")))
            .arg("--initrd")
            .arg(initramfs::with_programs(&[("module.ko.xz", &module)]))
            .args(["--cmdline", &format!("{CMDLINE} {kaslr}")])
            .arg("--vmlinux")
            .arg(tree.join("vmlinux"))
            .args(["--cpus", "2", "--gdb", &port.to_string()])
            .stdin(Stdio::piped()),
    );
    let trust = format!("add-auto-load-safe-path {}", tree.display());
    let script = root().join("scripts/gdb/minivmm.py");
    let script = script.to_str().expect("a path in UTF-8");
    let mut gdb = Gdb::start_in(&tree, program, ["-iex", &trust, "-x", script, "vmlinux"]);
    minivmm.stderr.expect("waits at its first instruction");
    gdb.connect(format!(":{port}"));
    (minivmm, gdb)
}

fn session(program: &str, kernel: &str, kaslr: &str) {
    let Some(program) = debugger(program) else { return skip(&format!("there is no {program}")) };
    let (mut minivmm, mut gdb) = debug(&program, kernel, kaslr);

    early_boot_has_symbols(&mut gdb);
    they_are_single_again_in_start_kernel(&mut gdb);
    a_module_has_symbols(&mut gdb, &mut minivmm);
    the_scripts_tell_of_tasks_and_messages(&mut gdb);
    // 7.2's own script asks for a member of struct hrtimer that 7.2 does not have any more.
    if kernel != "7.2" {
        the_scripts_tell_of_timers(&mut gdb);
    }

    gdb.run("kill");
    assert_eq!(minivmm.finish().status, 0);
}

fn early_boot_has_symbols(gdb: &mut Gdb) {
    assert_eq!(gdb.value("$pc"), 0x40000000);
    let said = gdb.run("bt");
    assert!(said.contains("#0  _text () at arch/arm64/kernel/head.S:"), "{said}");
    let said = gdb.run("list");
    assert!(said.contains("// branch to kernel start, magic"), "{said}");

    gdb.run("break preserve_boot_args");
    let said = gdb.run("continue");
    assert!(said.contains(" preserve_boot_args () at arch/arm64/kernel/head.S:"), "{said}");
    assert_eq!(gdb.value("$pc") >> 32, 0);
    let said = gdb.run("info line *$pc");
    assert!(
        said.contains("head.S\" starts at address 0x") && said.contains("<preserve_boot_args>"),
        "{said}"
    );
    gdb.run("delete");

    // The last of what runs there, in C.
    gdb.run("break early_map_kernel");
    let said = gdb.run("continue");
    assert!(said.contains("early_map_kernel (boot_status="), "{said}");
    let said = gdb.run("bt");
    assert!(said.contains("\n#1  ") && said.contains(" in __primary_switch ()"), "{said}");
    gdb.run("delete");
}

/// How many sets of the kernel's symbols there are.
fn sets(gdb: &mut Gdb) -> String {
    gdb.run("python print(sum(file.filename.endswith('/vmlinux') for file in gdb.objfiles()))")
}

fn they_are_single_again_in_start_kernel(gdb: &mut Gdb) {
    assert_eq!(sets(gdb), "2");
    gdb.run("hbreak start_kernel");
    let said = gdb.run("continue");
    assert!(said.contains(" hit Breakpoint ") && said.contains("start_kernel ("), "{said}");
    assert_eq!(sets(gdb), "1");
    let said = gdb.run("bt");
    assert!(said.contains(" __primary_switched () at arch/arm64/kernel/head.S:"), "{said}");
    gdb.run("delete");
}

fn a_module_has_symbols(gdb: &mut Gdb, minivmm: &mut Minivmm) {
    // Where modules can be asked for, and ftrace is done with the kernel's text.
    gdb.run("tbreak run_init_process");
    gdb.run("continue");
    let text = gdb.value("&_text");
    let said = gdb.run("lx-symbols");
    assert!(said.contains("loading vmlinux"), "{said}");
    assert_eq!(gdb.value("&_text"), text);
    gdb.run("set breakpoint pending on");
    gdb.run("break load_misc_binary");
    gdb.begin("continue");
    minivmm.console.expect(PROMPT);
    minivmm.send(
        "busybox xzcat /bin/module.ko.xz >/binfmt_misc.ko; insmod /binfmt_misc.ko; /bin/uname\n",
    );
    let said = gdb.end();

    assert!(said.contains("/modules/binfmt_misc.ko"), "{said}");
    assert!(said.contains(" hit Breakpoint ") && said.contains(" load_misc_binary ("), "{said}");
    assert_eq!(gdb.value("&_text"), text);
    let said = gdb.run("bt");
    assert!(said.contains("\n#1  ") && said.contains(" search_binary_handler ("), "{said}");
    let said = gdb.run("list init_misc_binfmt");
    assert!(said.contains("static int __init init_misc_binfmt(void)"), "{said}");
    gdb.run("delete");
    let said = gdb.run("lx-lsmod");
    assert!(said.lines().any(|line| line.contains(" binfmt_misc ")), "{said}");
}

fn the_scripts_tell_of_tasks_and_messages(gdb: &mut Gdb) {
    let said = counted(gdb, "lx-dmesg", 80);
    assert!(said.contains("] Linux version "), "{said}");
    let said = counted(gdb, "lx-ps", 200);
    assert!(said.contains("   1   init\n") && said.contains("   swapper/0\n"), "{said}");
    let said = gdb.run("lx-version");
    assert!(said.starts_with("Linux version ") && said.contains(" SMP "), "{said}");
    let said = gdb.run("lx-cpus");
    assert!(said.contains("Online CPUs   : [0, 1]"), "{said}");
    let said = gdb.run("print $lx_current().comm");
    assert!(said.contains("= \"sh\""), "{said}");
    assert_eq!(gdb.value("$lx_per_cpu(runqueues).cpu"), gdb.value("$_thread") - 1);
    assert_eq!(gdb.value("$lx_per_cpu(runqueues, 1).cpu"), 1);
}

fn the_scripts_tell_of_timers(gdb: &mut Gdb) {
    let said = counted(gdb, "lx-timerlist", 40);
    assert!(said.contains("Tick Device: mode: ") && said.contains("Per CPU device: 1\n"), "{said}");
}

/// Runs a command that takes GDB at most so many packets.
fn counted(gdb: &mut Gdb, command: &str, limit: usize) -> String {
    gdb.run("set debug remote 1");
    let said = gdb.run(command);
    gdb.run("set debug remote 0");
    let packets = said.matches("Sending packet: ").count();
    assert!(packets <= limit, "{command}: {packets} packets");
    let words: Vec<&str> = said.lines().filter(|line| !line.contains("[remote] ")).collect();
    words.join("\n")
}

#[test]
fn gdb_13_has_symbols_from_the_first_instruction_to_a_module() {
    session("gdb-multiarch", "6.12", "nokaslr");
}

#[test]
fn gdb_16_has_symbols_with_kaslr() {
    session("gdb-16", "6.12", "kaslr");
}

#[test]
fn gdb_16_has_symbols_of_7_2_with_kaslr() {
    session("gdb-16", "7.2", "kaslr");
}

/// GDB with a bare-metal guest's symbols, by which alone it finds the helper, and that guest.
fn debug_bare(program: &Path) -> (Minivmm, Gdb) {
    let folder = scratch();
    let helper = root().join("scripts/gdb/minivmm.py");
    fs::copy(bare_guest("count").with_extension("elf"), folder.join("guest")).unwrap();
    fs::copy(helper, folder.join("guest-gdb.py")).unwrap();
    let port = Minivmm::free_port();
    let minivmm = Minivmm::spawn(
        Command::new(root().join("scripts/minivmm"))
            .arg("--kernel")
            .arg(bare_guest("count"))
            .args(["--gdb", &port.to_string()])
            .stdin(Stdio::piped()),
    );
    let trust = format!("add-auto-load-safe-path {}", folder.display());
    let mut gdb = Gdb::start_in(&folder, program, ["-iex", &trust, "guest"]);
    minivmm.stderr.expect("waits at its first instruction");
    gdb.connect(format!(":{port}"));
    (minivmm, gdb)
}

fn commands_reach_the_monitor(program: &str) {
    let Some(program) = debugger(program) else { return skip(&format!("there is no {program}")) };
    let (minivmm, mut gdb) = debug_bare(&program);
    let script = root().join("scripts/gdb/minivmm.py");

    // Once more, with a target there.
    assert_eq!(gdb.run(&format!("source {}", script.display())), "");
    assert_eq!(gdb.run("info mem").matches(" rw cache").count(), 1);
    assert_eq!(gdb.run("show dcache line-size"), "Dcache line size is 1024.");
    assert_eq!(gdb.run("show dcache size"), "Number of dcache lines is 16384.");
    for command in [
        "vcpus",
        "gic all",
        "dtb",
        "kernel",
        "info version",
        "pagetable lower",
        "catch brk on 0x800",
        "help translate",
    ] {
        let said = gdb.run(&format!("minivmm {command}"));
        assert_eq!(said, gdb.run(&format!("monitor {command}")), "{command}");
        assert!(!said.is_empty() || command.starts_with("catch"), "{command}");
    }
    // With clocks in them, which go on.
    assert!(gdb.run("minivmm exits").contains("vCPU 0"));
    assert!(gdb.run("minivmm timers").starts_with("CNTFRQ_EL0 "));
    assert!(gdb.run("minivmm info registers").contains("TCR_EL1 "));
    let pc = gdb.value("$pc");
    let said = gdb.run("minivmm translate &_start + 8");
    assert_eq!(said, gdb.run(&format!("monitor translate {:#x}", pc + 8)));
    let said = gdb.run("minivmm xp/2xw $pc");
    assert_eq!(said, gdb.run(&format!("monitor xp/2xw {pc:#x}")));
    assert_eq!(gdb.run("minivmm translate nothing"), "No symbol \"nothing\" in current context.");
    assert_eq!(
        gdb.run("complete minivmm catch brk "),
        "minivmm catch brk off\nminivmm catch brk on"
    );
    gdb.run("stepi 3");
    gdb.run("minivmm reset");
    assert_eq!(gdb.value("$pc"), pc);
    gdb.run("minivmm quit");
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn gdb_13_has_commands_for_the_monitor_by_auto_load() {
    commands_reach_the_monitor("gdb-multiarch");
}

#[test]
fn gdb_16_has_commands_for_the_monitor_by_auto_load() {
    commands_reach_the_monitor("gdb-16");
}
