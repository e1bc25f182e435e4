//! Virtual addresses as the CPU itself translates them, against the walker's answer and what `m` reads.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use tests::stage1::{self, Regime, Unmapped};
use tests::{Minivmm, Physical, Rsp, Shell, bare_guest, bare_symbol, guest, skip};

/// Guest RAM of the kernels here, in MiB.
const MEMORY: u64 = 128;
/// GDB's numbers of registers.
const PC: u32 = 32;
const CPSR: u32 = 33;

fn number(digits: &str) -> u64 {
    let digits = digits.trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("not hexadecimal: {digits}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Boots Debian's kernel on one vCPU to a shell, and returns the stub's port.
fn boot(version: &str, cmdline: &str) -> (Shell, u16) {
    let port = Minivmm::free_port();
    let memory = format!("{MEMORY}M");
    let more = ["--memory", &memory, "--gdb", &port.to_string(), "--gdb-nowait"];
    let cmdline = format!("console=ttyAMA0 quiet panic=-1 {cmdline}");
    (Shell::boot_with(&cmdline, version, &more), port)
}

/// Its RAM. The Image has its magic at its byte 56 and lies at the start.
fn ram(shell: &Shell) -> Physical {
    Physical::of(&shell.minivmm, MEMORY << 20, 56, b"ARM\x64")
}

/// Addresses of kernel symbols, and of those behind them.
fn symbols(shell: &mut Shell, names: &[&str]) -> BTreeMap<String, Range<u64>> {
    // Without this, even root sees no addresses.
    shell.run("echo 1 >/proc/sys/kernel/kptr_restrict");
    let wanted = names.join("|");
    let said = shell.run(&format!("grep -E -A 1 ' ({wanted})$' /proc/kallsyms"));
    // Address, type, name.
    let lines: Vec<Vec<_>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let lines: Vec<_> = lines.iter().filter(|fields| fields.len() >= 3).collect();
    // Nothing is behind the last one.
    let ranges = lines
        .iter()
        .zip(lines.iter().skip(1).chain(lines.last()))
        .map(|(line, next)| (line[2].to_owned(), number(line[0])..number(next[0])));
    let found: BTreeMap<_, _> = ranges.collect();
    assert!(names.iter().all(|name| found.contains_key(*name)), "{said}");
    found
}

/// Loads a module that needs no other, through the console, and returns its address.
fn load_module(shell: &mut Shell, version: &str) -> u64 {
    let module = fs::read(guest(&format!("crc7-{version}.ko.xz"))).expect("setup's module");
    let lines: Vec<_> = module.chunks(500).map(hex).collect();
    let lines = lines.join("\n");
    shell.run(&format!("xxd -r -p >/crc7.ko.xz <<END\n{lines}\nEND"));
    let said = shell.run("busybox xzcat /crc7.ko.xz >/crc7.ko; insmod /crc7.ko; cat /proc/modules");
    let line = said.lines().find(|line| line.starts_with("crc7 "));
    number(line.and_then(|line| line.split(' ').nth(5)).unwrap_or_else(|| panic!("{said}")))
}

/// Where the kernel says that it has mapped devices: virtual and physical address.
fn devices(shell: &mut Shell) -> Vec<(u64, u64)> {
    let said = shell.run("grep ioremap /proc/vmallocinfo");
    let address = |line: &str| number(line.split('-').next().unwrap_or_default());
    let physical = |line: &str| {
        let field = line.split(' ').find_map(|field| field.strip_prefix("phys="));
        number(field.unwrap_or_else(|| panic!("{line}")))
    };
    said.lines().map(|line| (address(line), physical(line))).collect()
}

/// The kernel's regions of virtual addresses, as /proc/kcore shows them.
#[derive(Debug)]
struct Regions {
    linear: Range<u64>,
    modules: Range<u64>,
    vmalloc: Range<u64>,
    vmemmap: Range<u64>,
}

impl Regions {
    /// `text` is where the kernel's own image starts, at the border of modules and vmalloc.
    fn of(shell: &mut Shell, text: u64) -> Self {
        let digits = shell.run("head -c 1024 /proc/kcore | xxd -p | tr -d '\\n'");
        let word = |at: usize| {
            let bytes = digits.get(at * 2..at * 2 + 16).expect("a word");
            u64::from_str_radix(bytes, 16).expect("digits").swap_bytes()
        };
        // ELF64: 56-byte program headers behind the 64-byte header, which counts them at 56; of type
        // LOAD, p_vaddr at 16, p_paddr at 24, p_memsz at 40.
        let headers = (0..(word(56) & 0xffff) as usize).map(|n| 64 + n * 56);
        let loads = headers.filter(|at| word(*at) & 0xffff_ffff == 1);
        let segments: Vec<_> =
            loads.map(|at| (word(at + 16)..word(at + 16) + word(at + 40), word(at + 24))).collect();
        let find = |is_it: &dyn Fn(&Range<u64>, bool) -> bool| {
            let found = segments.iter().find(|(range, phys)| is_it(range, *phys != u64::MAX));
            found.unwrap_or_else(|| panic!("{segments:x?}")).0.clone()
        };
        Self {
            linear: find(&|range, is_ram| is_ram && range.start != text),
            modules: find(&|range, is_ram| !is_ram && range.end == text),
            vmalloc: find(&|range, is_ram| !is_ram && range.start == text),
            vmemmap: find(&|range, is_ram| !is_ram && range.start > text),
        }
    }
}

/// Code of ours in place of a kernel function, and memory that it may write to.
struct Probe<'a> {
    rsp: &'a mut Rsp,
    code: u64,
    buffer: Range<u64>,
}

impl<'a> Probe<'a> {
    fn plant(rsp: &'a mut Rsp, function: &Range<u64>, buffer: &Range<u64>) -> Self {
        let code = fs::read(bare_guest("sweep")).expect("the guest's code");
        assert!(code.len() as u64 <= function.end - function.start);
        rsp.write(function.start, &code);
        let masked = rsp.register(CPSR) | 0x3c0;
        rsp.order(&format!("P{CPSR:x}={}", hex(&(masked as u32).to_le_bytes())));
        let size = (buffer.end - buffer.start) & !15;
        let probe = Self { rsp, code: function.start, buffer: buffer.start..buffer.start + size };
        let done = probe.place("done");
        probe.rsp.order(&format!("Z1,{done:x},4"));
        probe
    }

    fn place(&self, symbol: &str) -> u64 {
        self.code + bare_symbol("sweep", symbol) - bare_symbol("sweep", "_start")
    }

    /// Runs from a symbol to `done` and returns what was written.
    fn run(&mut self, from: &str, registers: &[(u32, u64)]) -> Vec<u64> {
        let Range { start, end } = self.buffer;
        for (number, value) in registers.iter().copied().chain([(2, start), (3, end)]) {
            self.rsp.set_register(number, value);
        }
        self.rsp.set_register(PC, self.place(from));
        let stop = self.rsp.resume("vCont;c");
        assert_eq!(stop.pc(), self.place("done"), "{stop:?}");
        let end = self.rsp.register(2);
        let chunks = (start..end).step_by(0x4000);
        let bytes = chunks.flat_map(|at| self.rsp.read(at, (end - at).min(0x4000) as usize));
        let bytes: Vec<_> = bytes.collect();
        assert_eq!(bytes.len() as u64, end - start);
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
    }

    fn regime(&mut self) -> Regime {
        let words = self.run("registers", &[]);
        let [sctlr, tcr, ttbr0, ttbr1, mmfr0, mmfr2] = words[..] else { panic!("{words:x?}") };
        Regime { sctlr, tcr, ttbr0, ttbr1, mmfr0, mmfr2 }
    }

    /// All of TTBR1's half: addresses and the PAR_EL1 of each.
    fn sweep(&mut self, regime: &Regime) -> Vec<(u64, u64)> {
        // Address bits below what levels 0 to 3 resolve; TCR_EL1.TG1.
        let shifts = match regime.tcr >> 30 & 3 {
            2 => [39, 30, 21, 12],
            1 => [47, 36, 25, 14],
            tg1 => panic!("TG1 = {tg1}"),
        };
        let mut found = Vec::new();
        let mut from = u64::MAX << (64 - (regime.tcr >> 16 & 0x3f));
        while from != 0 {
            let shifts = u64::from(u32::from_le_bytes(shifts));
            let words = self.run("sweep", &[(0, from), (4, shifts), (5, 48)]);
            found.extend(words.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            from = self.rsp.register(0);
        }
        found
    }
}

/// What PAR_EL1 says: an IPA, or the level of a translation fault.
fn outcome(par: u64) -> Result<u64, Unmapped> {
    match (par & 1, par >> 1 & 0x3f) {
        (0, _) => Ok(par & 0xf_ffff_ffff_f000),
        (_, 0b101011) => Err(Unmapped::Invalid(-1)),
        (_, status @ 4..=7) => Err(Unmapped::Invalid(status as i8 - 4)),
        (_, status) => panic!("fault status {status:#b}"),
    }
}

/// Checks that `m` reads 16 bytes at each address as they are in RAM, and that it refuses those that
/// lead nowhere or to a device. Returns how many it read and how many it refused.
fn check_reads(rsp: &mut Rsp, physical: &Physical, addresses: &[(u64, Option<u64>)]) -> [usize; 2] {
    let mut counts = [0; 2];
    // Several under way at a time.
    for batch in addresses.chunks(64) {
        for (va, _) in batch {
            rsp.send(&format!("m{va:x},10"));
        }
        for (va, ipa) in batch {
            let reply = rsp.receive();
            match ipa.and_then(|ipa| physical.read(ipa, 16)) {
                Some(bytes) => assert_eq!(reply, hex(bytes), "{va:#x}"),
                None => assert!(reply.starts_with('E'), "{va:#x}: {reply}"),
            }
            counts[usize::from(reply.starts_with('E'))] += 1;
        }
    }
    counts
}

/// Compares every address of a kernel's half of the address space, for this size of page.
fn compare(version: &str, page: u64) {
    let (mut shell, port) = boot(version, "earlycon=pl011,mmio32,0x09000000");
    let names = ["_text", "_stext", "_etext", "_sdata", "_end", "__log_buf", "panic"];
    let names = [&names[..], &["initial_boot_params", "do_sys_openat2"]].concat();
    let symbols = symbols(&mut shell, &names);
    let start = |name: &str| symbols[name].start;
    let module = load_module(&mut shell, version);
    let devices = devices(&mut shell);
    let regions = Regions::of(&mut shell, start("_text"));

    // At EL1, with nothing half done in the function that gives way.
    let mut rsp = Rsp::connect(port);
    let stop_at = format!("1,{:x},4", start("do_sys_openat2"));
    rsp.order(&format!("Z{stop_at}"));
    rsp.send("vCont;c");
    shell.begin("cat /proc/version");
    let stop = rsp.receive();
    assert!(stop.contains("hwbreak"), "{stop}");
    rsp.order(&format!("z{stop_at}"));
    let boot_params = rsp.read_u64(start("initial_boot_params"));
    let mut probe = Probe::plant(&mut rsp, &symbols["panic"], &symbols["__log_buf"]);
    let regime = probe.regime();
    let sweep = probe.sweep(&regime);
    let physical = ram(&shell);

    // The walker, over the same tables.
    for (va, par) in &sweep {
        let walked = stage1::translate(*va, &regime, |ipa| physical.word(ipa));
        assert_eq!(walked.map(|mapping| mapping.ipa), outcome(*par), "{va:#x}, PAR {par:#x}");
    }

    // It was all there, by what the kernel knows of itself.
    let mapped: BTreeMap<_, _> =
        sweep.iter().filter_map(|(va, par)| Some((*va, outcome(*par).ok()?))).collect();
    let count = |range: &Range<u64>| mapped.range(range.clone()).count() as u64;
    for [from, to] in [["_stext", "_etext"], ["_sdata", "_end"]] {
        for va in (start(from)..start(to)).step_by(page as usize) {
            let ipa = Physical::BASE + (va - start("_text"));
            assert_eq!(mapped.get(&va), Some(&ipa), "{va:#x} from {from} to {to}");
        }
    }
    let pages = (MEMORY << 20) / page;
    assert!(count(&regions.linear) > pages * 9 / 10, "{regions:x?}");
    let vmemmap = &regions.vmemmap;
    assert_eq!(count(vmemmap), (vmemmap.end - vmemmap.start) / page, "{regions:x?}");
    assert!(count(&(start("_end")..regions.vmalloc.end)) > 100, "{regions:x?}");
    assert!(count(&regions.modules) > 0 && mapped.contains_key(&module), "{module:#x}");
    // The fixmap, above all else: the device tree, and the early console.
    assert!(boot_params > vmemmap.end && mapped.contains_key(&(boot_params & !(page - 1))));
    let fixed = mapped.range(vmemmap.end..);
    assert!(fixed.clone().any(|(_, ipa)| *ipa == 0x0900_0000), "{fixed:x?}");
    assert!(devices.len() >= 4, "{devices:x?}");
    for (va, ipa) in devices {
        assert_eq!(mapped.get(&va), Some(&ipa), "{va:#x}");
    }

    // The stub: what is mapped, of the linear map a part, and what is not but has a neighbour.
    let linear = mapped.range(regions.linear.clone()).step_by(64);
    let others = mapped.range(regions.linear.end..);
    let readable = linear.chain(others).map(|(va, ipa)| (*va, Some(*ipa)));
    let unmapped = sweep.windows(2).flat_map(|pair| {
        let is_mapped = |(_, par): (u64, u64)| par & 1 == 0;
        let is_border = is_mapped(pair[0]) != is_mapped(pair[1]);
        pair.iter().filter(move |entry| is_border && !is_mapped(**entry)).map(|(va, _)| (*va, None))
    });
    let addresses: Vec<_> = readable.chain(unmapped).collect();
    let [read, refused] = check_reads(&mut rsp, &physical, &addresses);
    assert!(read as u64 > (32 << 20) / page, "{read}");
    assert!(refused > 100, "{refused}");
    println!("{} addresses, {} mapped; {read} read, {refused} refused", sweep.len(), mapped.len());
}

#[test]
fn each_kernel_address_leads_where_the_cpu_says_with_4k_pages() {
    compare("6.12", 4 << 10);
}

#[test]
fn each_kernel_address_leads_where_the_cpu_says_with_16k_pages() {
    // TGran16, bits 23:20, which a CPU without 16K pages has 0: that kernel does not boot there.
    let mmfr0 = number(Minivmm::start_bare("granules", &[]).finish().console.trim());
    let tgran16 = mmfr0 >> 20 & 0xf;
    if tgran16 == 0 {
        return skip(&format!("no 16K pages here: ID_AA64MMFR0_EL1 is {mmfr0:#x}"));
    }
    compare("6.12-16k", 16 << 10);
}

#[test]
fn the_kernel_is_there_while_user_space_runs_without_it() {
    let (mut shell, port) = boot("6.12", "kpti=on");
    let said = shell.run("dmesg | grep 'page table isolation'");
    assert!(said.contains("forced ON by kpti command line option"), "{said}");
    let symbols = symbols(&mut shell, &["linux_banner", "panic", "do_sys_openat2"]);
    let banner = shell.run("cat /proc/version");
    shell.run("while :; do :; done &");
    let mut rsp = Rsp::connect(port);

    // The loop makes no system calls; only interrupts lead out of EL0.
    let mut tries = 0;
    while rsp.register(CPSR) & 0xf != 0 {
        tries += 1;
        assert!(tries < 100, "never at EL0");
        rsp.send("vCont;c");
        rsp.interrupt();
    }

    let found = rsp.read(symbols["linux_banner"].start, banner.len());
    assert_eq!(String::from_utf8_lossy(&found), banner);
    // All of the kernel's map, and not the trampoline's.
    let text = symbols["panic"].start;
    let said = rsp.told(&format!("pagetable {text:#x}"));
    let (heading, map) = said.split_once('\n').expect("a map");
    assert!(heading.starts_with("from there on, TTBR1_EL1 0x"), "{said}");
    assert!(heading.ends_with(" as last seen at EL1:"), "{said}");
    assert!(map.starts_with(&format!("{text:#x}..")), "{said}");
    let said = rsp.told("pagetable upper");
    assert!(said.starts_with("upper half, TTBR1_EL1 0x"), "{said}");
    // More than the 16 that fit the debug registers of any CPU, so that memory must take them; never
    // reached, and unseen.
    let code = rsp.read(symbols["panic"].start, 0x80);
    let places = (symbols["panic"].start..).step_by(4).take(17);
    for place in places {
        rsp.order(&format!("Z0,{place:x},4"));
    }
    assert_eq!(rsp.read(symbols["panic"].start, 0x80), code);
    let opened = symbols["do_sys_openat2"].start;
    rsp.order(&format!("Z0,{opened:x},4"));
    assert_eq!(rsp.register(CPSR) & 0xf, 0, "still at EL0");
    rsp.send("vCont;c");
    shell.begin("cat /proc/version");
    let stop = rsp.receive();
    assert!(stop.contains("swbreak"), "{stop}");
    assert_eq!(rsp.register(PC), opened);
    assert_eq!(rsp.register(CPSR) & 0xf, 5, "at EL1h");

    rsp.order("D;1");
    shell.minivmm.console.expect(&banner);
    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{vm:?}");
}

#[test]
fn each_vcpu_shows_its_own_address_space() {
    const SHARED: u64 = 0x1_0000_0000;
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("spaces", &["--cpus", "2", "--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.order(&format!("Z1,{:x},4", bare_symbol("spaces", "both_entered")));
    assert_eq!(rsp.resume("vCont;c").thread(), 2);

    rsp.select(1);
    assert_eq!(rsp.read_u64(SHARED), 0x1111_1111_1111_1111);
    rsp.select(2);
    assert_eq!(rsp.read_u64(SHARED), 0x2222_2222_2222_2222);

    rsp.write(SHARED, &[0x33; 8]);
    rsp.select(1);
    assert_eq!(rsp.read_u64(SHARED), 0x1111_1111_1111_1111);
    // Where each of them leads, by addresses that both have.
    assert_eq!(rsp.read_u64(0x4020_0000), 0x1111_1111_1111_1111);
    assert_eq!(rsp.read_u64(0x4040_0000), 0x3333_3333_3333_3333);
}
