//! Registers beyond the general ones, on a guest that knows what is in them, with and without SVE.

use tests::gdb::Version;
use tests::rsp::{number, to_hex};
use tests::{Gdb, Lldb, Minivmm, Rsp, bare_guest, bare_symbol, lacks, lldb, skip};

/// The guest behind its `filled`, where its registers have what is to be found in them.
fn filled(port: u16) -> (Minivmm, Rsp) {
    let minivmm = Minivmm::start_bare("vectors", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("gdb: ");
    let mut rsp = Rsp::connect(port);
    rsp.order(&format!("Z1,{:x},4", bare_symbol("vectors", "filled")));
    rsp.resume("vCont;c");
    (minivmm, rsp)
}

#[test]
fn the_description_has_what_the_vcpu_has_and_g_the_first_of_it() {
    let (_minivmm, mut rsp) = filled(Minivmm::free_port());
    let vector = rsp.register(1) as usize;

    let xml = rsp.description();

    let has = |feature: &str| xml.contains(&format!("<feature name=\"{feature}\">"));
    assert_eq!(has("org.gnu.gdb.aarch64.sve"), vector > 0);
    assert_eq!(has("org.gnu.gdb.aarch64.fpu"), vector == 0);
    assert_eq!(rsp.ask("g").len(), 2 * if vector > 0 { 268 } else { 788 });
    // Number by number, up to the last one there is.
    let count = xml.matches("<reg ").count();
    assert!(count > 150, "{count}");
    for number in 0..count {
        let value = rsp.ask(&format!("p{number:x}"));
        assert!(value.len() >= 8 && !value.starts_with('E'), "{number}: {value}");
    }
    let past = count + if vector > 0 { 32 } else { 0 };
    assert!(rsp.ask(&format!("p{past:x}")).starts_with("E.no register has number"));
    for name in ["SP_EL0", "SP_EL1", "ELR_EL1", "TCR_EL1", "CNTV_CVAL_EL0", "DBGBVR0_EL1"] {
        assert_eq!(xml.matches(&format!("\"{name}\"")).count(), 1, "{name}");
    }
}

#[test]
fn what_kvm_takes_is_written_and_the_rest_refused_with_nothing_changed() {
    let (_minivmm, mut rsp) = filled(Minivmm::free_port());
    let xml = rsp.description();
    let write = |rsp: &mut Rsp, name: &str, value: u64| {
        rsp.ask(&format!("P{:x}={}", number(&xml, name), to_hex(&value.to_le_bytes())))
    };
    let read = |rsp: &mut Rsp, name: &str| rsp.register(number(&xml, name));

    for (name, value) in [
        ("VBAR_EL1", 0xffff_8000_1234_5800),
        ("TTBR0_EL1", 0x4567_8000),
        ("SP_EL0", 0x1110),
        ("ELR_EL1", 0x4000_1234),
        ("tpidr", 0x7770),
        ("CONTEXTIDR_EL1", 0x55),
    ] {
        assert_eq!(write(&mut rsp, name, value), "OK", "{name}");
        assert_eq!(read(&mut rsp, name), value, "{name}");
    }
    assert_eq!(read(&mut rsp, "TPIDR_EL0"), 0x7770);
    // What the stub keeps of registers is what was written.
    let sctlr = read(&mut rsp, "SCTLR_EL1");
    assert_eq!(write(&mut rsp, "SCTLR_EL1", sctlr | 1 << 12), "OK");
    assert_eq!(read(&mut rsp, "SCTLR_EL1"), sctlr | 1 << 12);

    let before = read(&mut rsp, "ID_AA64PFR0_EL1");
    let said = write(&mut rsp, "ID_AA64PFR0_EL1", 0);
    assert!(said.starts_with("E.ID_AA64PFR0_EL1: KVM refuses 0x0 ("), "{said}");
    assert!(said.ends_with(&format!("it stays {before:#x}")), "{said}");
    assert_eq!(read(&mut rsp, "ID_AA64PFR0_EL1"), before);
    // KVM has 32 bits of it, and says nothing of the others.
    let said = write(&mut rsp, "CNTV_CTL_EL0", 0x1_0000_0002);
    assert!(said.starts_with("E.CNTV_CTL_EL0: of 0x100000002 the vCPU keeps 0x"), "{said}");
    assert_eq!(read(&mut rsp, "CNTV_CTL_EL0") & 3, 0);
    assert_eq!(write(&mut rsp, "CNTV_CTL_EL0", 2), "OK", "ISTATUS is the timer's own");
    assert_eq!(read(&mut rsp, "CNTV_CTL_EL0") & 3, 2);
}

#[test]
fn masks_and_vector_length_follow_from_others() {
    let (_minivmm, mut rsp) = filled(Minivmm::free_port());
    let xml = rsp.description();
    if !xml.contains("pauth_v2") {
        return skip("this host's vCPUs have no pointer authentication");
    }
    let masks = ["pauth_dmask", "pauth_cmask", "pauth_dmask_high", "pauth_cmask_high"]
        .map(|name| number(&xml, name));
    assert_eq!(masks.map(|number| rsp.register(number)), [0; 4], "nothing is signed yet");

    // T0SZ 16, T1SZ 25, TBI0, TBI1 and TBID1.
    let tcr = 16_u64 | 25 << 16 | 3 << 37 | 1 << 52;
    rsp.set_register(number(&xml, "TCR_EL1") as u32, tcr);

    let wanted = [0x7f << 48, 0x7f << 48, 0xffff << 39 & !(1 << 55), 0xff7f_ff80 << 32];
    assert_eq!(masks.map(|number| rsp.register(number)), wanted);
    let said = rsp.ask(&format!("P{:x}={}", masks[0], "00".repeat(8)));
    assert!(said.starts_with("E.a pauth mask: 0x0, expected 0x7f"), "{said}");
    rsp.order(&format!("P{:x}={}", masks[0], to_hex(&wanted[0].to_le_bytes())));
}

#[test]
fn physical_memory_is_read_and_written_by_its_address_with_breakpoints_hidden() {
    /// Leads to [`MEMORY`] for the second vCPU.
    const SHARED: u64 = 0x1_0000_0000;
    const MEMORY: u64 = 0x4040_0000;
    const END: u64 = 0x4400_0000;
    let port = Minivmm::free_port();
    let more = ["--cpus", "2", "--memory", "64M", "--gdb", &port.to_string()];
    let minivmm = Minivmm::start_bare("spaces", &more);
    minivmm.stderr.expect("gdb: ");
    let mut rsp = Rsp::connect(port);
    let both_entered = bare_symbol("spaces", "both_entered");
    rsp.order(&format!("Z1,{both_entered:x},4"));
    rsp.resume("vCont;c");
    let code = rsp.read(both_entered, 4);
    rsp.order(&format!("Z0,{both_entered:x},4"));
    assert_eq!(rsp.read_u64(SHARED), 0x2222_2222_2222_2222);

    rsp.order("Qqemu.PhyMemMode:1");
    assert_eq!(rsp.ask("qqemu.PhyMemMode"), "1");
    assert!(rsp.ask(&format!("m{SHARED:x},8")).starts_with("E.no memory at 0x100000000"));
    assert_eq!(rsp.read_u64(MEMORY), 0x2222_2222_2222_2222);
    rsp.write(MEMORY, &[0x33; 4]);
    assert_eq!(rsp.ask(&format!("qSearch:memory:{MEMORY:x};100;\"\"")), "1,40400004");
    // A breakpoint does not show, and stays where its instruction is written.
    assert_eq!(rsp.read(both_entered, 4), code);
    rsp.write(both_entered, &code);
    assert_eq!(rsp.read(both_entered, 4), code);
    // Where RAM ends, nothing is written if not all is; a device is not touched.
    assert_eq!(rsp.read(END - 4, 8).len(), 4);
    assert!(rsp.ask(&format!("m{END:x},4")).starts_with("E.no memory at 0x44000000"));
    let said = rsp.ask(&format!("M{:x},8:{}", END - 4, "11".repeat(8)));
    assert_eq!(said, "E.no memory at 0x44000000");
    assert_eq!(rsp.read(END - 4, 4), [0; 4]);
    assert!(rsp.ask("m9000000,4").starts_with("E.no memory at 0x9000000"));

    drop(rsp);
    let mut rsp = Rsp::connect(port);
    assert_eq!(rsp.ask("qqemu.PhyMemMode"), "0", "it is the connection's");
    rsp.select(2);
    assert_eq!(rsp.read_u64(SHARED), 0x2222_2222_3333_3333);
    rsp.send("k");
    assert_eq!(minivmm.finish().status, 0);
}

/// Both versions see v registers with and without SVE, and what they set the guest finds.
fn gdb_session(version: Version) {
    if lacks(version.program()) {
        return skip(&format!("there is no {}", version.program()));
    }
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("vectors", &["--gdb", &port.to_string()]);
    let mut gdb = Gdb::start_version(version, Some(&bare_guest("vectors").with_extension("elf")));
    gdb.connect(format!(":{port}"));
    gdb.run("hbreak *&filled");
    gdb.run("continue");
    let vector = gdb.value("$x1");

    assert_eq!(gdb.value("$tpidr"), 0x1234_5678_9abc_def0);
    assert_eq!(gdb.value("$TPIDR_EL0"), 0x1234_5678_9abc_def0);
    assert_eq!(gdb.value("$v5.d.u[0]"), 0x1122_3344_5566_7788);
    assert_eq!(gdb.value("$v5.d.u[1]"), 0x99aa_bbcc_ddee_ff00);
    gdb.run("set $v4.d.u[0] = 0x1111222233334444");
    gdb.run("set $v4.d.u[1] = 0x5555666677778888");
    gdb.run("set $tpidr = 0x7770");
    if vector > 0 {
        assert_eq!(gdb.value("$vg"), vector / 8);
        assert_eq!(gdb.value("sizeof($z3)"), vector);
        assert_eq!(gdb.value(&format!("$z3.b.u[{}]", vector - 1)), vector & 0xff);
        assert_eq!(gdb.value("$v3.b.u[15]"), 16);
        assert_eq!(gdb.value(&format!("$p1[{}]", vector / 8 - 1)), 0x55);
        assert_eq!(gdb.value("$ffr[0]"), 0x55);
        gdb.run(&format!("set $z6.d.u[{}] = 0x6666", vector / 8 - 1));
    }
    let said = gdb.run("p $SCTLR_EL1");
    assert!(said.contains(" = [ ") && said.contains(" SA ") && !said.contains(" M "), "{said}");
    let said = gdb.run("info registers system");
    assert!(said.lines().any(|line| line.starts_with("TCR_EL1 ")), "{said}");
    gdb.assert_no_complaint();
    let said = gdb.run("set $ID_AA64PFR0_EL1 = 0");
    assert!(said.contains("ID_AA64PFR0_EL1"), "{said}");
    assert_ne!(gdb.value("$ID_AA64PFR0_EL1"), 0);

    let said = gdb.run("continue");
    assert!(said.contains("exited normally"), "{said}");
    let last = if vector > 0 { "0000000000006666" } else { "0000000000000000" };
    let wanted = ["1111222233334444", "5555666677778888", last, "0000000000007770"];
    assert_eq!(minivmm.finish().console.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn gdb_13_reads_and_writes_vectors_and_system_registers() {
    gdb_session(Version::V13);
}

#[test]
fn gdb_16_reads_and_writes_vectors_and_system_registers() {
    gdb_session(Version::V16);
}

/// A register's value, for which LLDB needs no compiler.
fn number_in(lldb: &mut Lldb, register: &str) -> u64 {
    let said = lldb.run(&format!("register read --format hex {register}"));
    let digits = said.split(" = 0x").nth(1).unwrap_or_else(|| panic!("{said}"));
    u64::from_str_radix(digits.split(' ').next().unwrap_or_default(), 16).expect("digits")
}

#[test]
fn lldb_19_reads_and_writes_vectors_and_system_registers() {
    if lacks(lldb::PROGRAM) {
        return skip(&format!("there is no {}", lldb::PROGRAM));
    }
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("vectors", &["--gdb", &port.to_string()]);
    let mut lldb = Lldb::start(&bare_guest("vectors").with_extension("elf"));
    lldb.connect(port);
    lldb.run("breakpoint set --hardware --name filled");
    lldb.run("continue");
    let vector = number_in(&mut lldb, "x1") as usize;

    let bytes = |said: &str| said.matches("0x").count();
    let said = lldb.run("register read v5");
    assert!(said.starts_with("v5 = {0x88 0x77 0x66 0x55 0x44 0x33 0x22 0x11 0x00 0xff"), "{said}");
    assert_eq!(bytes(&said), 16);
    lldb.run("register write v4 '{0x44 0x44 0x33 0x33 0x22 0x22 0x11 0x11 0x88 0x88 0x77 0x77 0x66 0x66 0x55 0x55}'");
    assert!(lldb.run("register read d4").starts_with("d4 = "));
    if vector > 0 {
        assert_eq!(number_in(&mut lldb, "vg") as usize, vector / 8);
        let said = lldb.run("register read z3");
        assert!(said.starts_with("z3 = {0x01 0x02 0x03 "), "{said}");
        assert_eq!(bytes(&said), vector);
        let said = lldb.run("register read v3");
        assert!(said.starts_with("v3 = {0x01 0x02 ") && said.ends_with(" 0x0f 0x10}"), "{said}");
        let said = lldb.run("register read p1");
        assert!(said.starts_with("p1 = {0x55 0x55 ") && bytes(&said) == vector / 8, "{said}");
        let mut z6 = vec!["0x00"; vector];
        (z6[vector - 8], z6[vector - 7]) = ("0x66", "0x66");
        lldb.run(&format!("register write z6 '{{{}}}'", z6.join(" ")));
    }
    assert_eq!(number_in(&mut lldb, "TPIDR_EL0"), 0x1234_5678_9abc_def0);
    lldb.run("register write tpidr 0x7770");
    let said = lldb.run("register read SCTLR_EL1");
    assert!(said.contains("SA = 1") && said.contains("M = 0"), "{said}");
    lldb.assert_no_complaint();
    let said = lldb.run("register write ID_AA64PFR0_EL1 0");
    assert!(said.contains("error: "), "{said}");

    let said = lldb.run("continue");
    assert!(said.contains("exited with status = 0"), "{said}");
    let last = if vector > 0 { "0000000000006666" } else { "0000000000000000" };
    let wanted = ["1111222233334444", "5555666677778888", last, "0000000000007770"];
    assert_eq!(minivmm.finish().console.lines().collect::<Vec<_>>(), wanted);
}
