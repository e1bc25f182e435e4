use super::walk::{Tree, walk};
use super::*;

const ONE: &[u64] = &[0x8000_0000];

fn machine(mpidrs: &[u64]) -> Machine<'_> {
    Machine {
        mpidrs,
        ram_size: 0x2000_0000,
        gic: Gic::V3,
        pmu: false,
        uart: true,
        virtio: 0,
        cmdline: "console=ttyAMA0",
        initrd: None,
        rng_seed: &[],
        kaslr_seed: None,
    }
}

/// MPIDRs as KVM numbers vCPUs: 16 a cluster.
fn mpidrs(count: u64) -> Vec<u64> {
    (0..count).map(|n| 0x8000_0000 | (n & 0xf) | (n >> 4) << 8).collect()
}

fn tree(machine: &Machine) -> Tree {
    walk(&build(machine).unwrap())
}

fn cells(value: &[u8]) -> Vec<u32> {
    assert_eq!(value.len() % 4, 0);
    value.chunks(4).map(|cell| u32::from_be_bytes(cell.try_into().unwrap())).collect()
}

fn children<'a>(tree: &'a Tree, parent: &str) -> Vec<&'a str> {
    tree.keys()
        .filter_map(|path| path.strip_prefix(parent))
        .filter(|name| !name.is_empty() && !name.contains('/'))
        .collect()
}

#[test]
fn has_the_nodes_of_qemus_virt_and_no_others() {
    let tree = tree(&machine(ONE));

    assert_eq!(
        children(&tree, "/"),
        [
            "aliases",
            "apb-pclk",
            "chosen",
            "cpus",
            "gpio-keys",
            "intc@8000000",
            "memory@40000000",
            "pl011@9000000",
            "pl031@9010000",
            "pl061@9030000",
            "psci",
            "pvpanic@90f0000",
            "timer",
        ]
    );
    assert_eq!(tree["/"]["compatible"], b"linux,dummy-virt\0");
    assert_eq!(cells(&tree["/"]["#address-cells"]), [2]);
    assert_eq!(cells(&tree["/"]["#size-cells"]), [2]);
    assert_eq!(tree["/"]["interrupt-parent"], tree["/intc@8000000"]["phandle"]);
}

#[test]
fn a_machine_without_a_console_tells_of_no_uart() {
    let tree = tree(&Machine { uart: false, ..machine(ONE) });

    assert!(!children(&tree, "/").iter().any(|name| ["aliases", "pl011@9000000"].contains(name)));
    assert!(!tree["/chosen"].contains_key("stdout-path"));
}

#[test]
fn memory_is_the_ram_there_is() {
    let tree = tree(&Machine { ram_size: 0x3f_c000_0000, ..machine(ONE) });

    let memory = &tree["/memory@40000000"];
    assert_eq!(memory["device_type"], b"memory\0");
    assert_eq!(cells(&memory["reg"]), [0, 0x4000_0000, 0x3f, 0xc000_0000]);
}

#[test]
fn chosen_has_what_was_given_and_nothing_else() {
    let bare = tree(&machine(ONE));
    let full = tree(&Machine {
        cmdline: "root=/dev/vda \"quoted words\" -- single",
        initrd: Region::new(0x1_4800_0000, 0x1_2345),
        rng_seed: &[1, 2, 3],
        ..machine(ONE)
    });

    let keys: Vec<_> = bare["/chosen"].keys().collect();
    assert_eq!(keys, ["bootargs", "stdout-path"]);
    assert_eq!(bare["/chosen"]["stdout-path"], b"/pl011@9000000\0");
    assert_eq!(bare["/aliases"]["serial0"], b"/pl011@9000000\0");
    let full = &full["/chosen"];
    assert_eq!(full["bootargs"], b"root=/dev/vda \"quoted words\" -- single\0");
    assert_eq!(cells(&full["linux,initrd-start"]), [1, 0x4800_0000]);
    assert_eq!(cells(&full["linux,initrd-end"]), [1, 0x4801_2345]);
    assert_eq!(full["rng-seed"], [1, 2, 3]);
}

#[test]
fn cpus_are_named_by_their_affinity_and_started_by_psci() {
    let tree = tree(&machine(&mpidrs(200)));

    let cpus = children(&tree, "/cpus/");
    assert_eq!(cpus.len(), 200);
    assert_eq!(cells(&tree["/cpus"]["#address-cells"]), [1]);
    assert_eq!(cells(&tree["/cpus"]["#size-cells"]), [0]);
    for (name, affinity) in [("0", 0), ("f", 0xf), ("100", 0x100), ("c07", 0xc07)] {
        let cpu = &tree[&format!("/cpus/cpu@{name}")];
        assert_eq!(cells(&cpu["reg"]), [affinity]);
        assert_eq!(cpu["device_type"], b"cpu\0");
        assert_eq!(cpu["compatible"], b"arm,armv8\0");
        assert_eq!(cpu["enable-method"], b"psci\0");
    }
    assert_eq!(tree["/psci"]["compatible"], b"arm,psci-1.0\0arm,psci-0.2\0");
    assert_eq!(tree["/psci"]["method"], b"hvc\0");
}

#[test]
fn one_aff3_makes_every_cpu_address_two_cells_and_flags_are_left_out() {
    // MPIDR_EL1.{U, MT} and the bit that reads as one are no affinity.
    let tree = tree(&machine(&[0xc100_0000, 0x01_8000_0203]));

    assert_eq!(cells(&tree["/cpus"]["#address-cells"]), [2]);
    assert_eq!(cells(&tree["/cpus/cpu@0"]["reg"]), [0, 0]);
    assert_eq!(cells(&tree["/cpus/cpu@100000203"]["reg"]), [1, 0x203]);
}

#[test]
fn gicv3_has_one_redistributor_region_up_to_123_vcpus() {
    for (vcpus, regions) in [
        (1, vec![0, 0x080a_0000, 0, 0x2_0000]),
        (123, vec![0, 0x080a_0000, 0, 0xf6_0000]),
        (200, vec![0, 0x080a_0000, 0, 0xf6_0000, 0x40, 0, 0, 77 * 0x2_0000]),
    ] {
        let tree = tree(&machine(&mpidrs(vcpus)));

        let intc = &tree["/intc@8000000"];
        let reg = cells(&intc["reg"]);
        assert_eq!(intc["compatible"], b"arm,gic-v3\0");
        assert_eq!(cells(&intc["#redistributor-regions"]), [regions.len() as u32 / 4]);
        assert_eq!(reg[..4], [0, 0x0800_0000, 0, 0x1_0000]);
        assert_eq!(reg[4..], regions, "{vcpus} vCPUs");
        assert!(intc.contains_key("interrupt-controller"));
        assert_eq!(cells(&intc["#interrupt-cells"]), [3]);
    }
}

#[test]
fn gicv2_has_its_cpu_interface() {
    let tree = tree(&Machine { gic: Gic::V2, ..machine(ONE) });

    let intc = &tree["/intc@8000000"];
    assert_eq!(intc["compatible"], b"arm,cortex-a15-gic\0");
    assert_eq!(cells(&intc["reg"]), [0, 0x0800_0000, 0, 0x1_0000, 0, 0x0801_0000, 0, 0x2000]);
    assert!(!intc.contains_key("#redistributor-regions"));
}

#[test]
fn timer_and_pmu_are_level_ppis_with_a_cpu_mask_for_gicv2_only() {
    for (gic, vcpus, flags) in
        [(Gic::V3, 4, 0x4), (Gic::V2, 1, 0x104), (Gic::V2, 4, 0xf04), (Gic::V2, 8, 0xff04)]
    {
        let tree = tree(&Machine { gic, pmu: true, ..machine(&mpidrs(vcpus)) });

        assert_eq!(
            cells(&tree["/timer"]["interrupts"]),
            [1, 13, flags, 1, 14, flags, 1, 11, flags, 1, 10, flags]
        );
        assert_eq!(tree["/timer"]["compatible"], b"arm,armv8-timer\0");
        assert!(tree["/timer"].contains_key("always-on"));
        assert_eq!(cells(&tree["/pmu"]["interrupts"]), [1, 7, flags]);
        assert_eq!(tree["/pmu"]["compatible"], b"arm,armv8-pmuv3\0");
    }
}

#[test]
fn uart_and_rtc_have_their_registers_interrupts_and_clock() {
    let tree = tree(&machine(ONE));

    let clock = cells(&tree["/apb-pclk"]["phandle"])[0];
    assert_eq!(cells(&tree["/apb-pclk"]["clock-frequency"]), [24_000_000]);
    let uart = &tree["/pl011@9000000"];
    assert_eq!(uart["compatible"], b"arm,pl011\0arm,primecell\0");
    assert_eq!(cells(&uart["reg"]), [0, 0x0900_0000, 0, 0x1000]);
    assert_eq!(cells(&uart["interrupts"]), [0, 1, 4]);
    assert_eq!(cells(&uart["clocks"]), [clock, clock]);
    assert_eq!(uart["clock-names"], b"uartclk\0apb_pclk\0");
    let rtc = &tree["/pl031@9010000"];
    assert_eq!(rtc["compatible"], b"arm,pl031\0arm,primecell\0");
    assert_eq!(cells(&rtc["reg"]), [0, 0x0901_0000, 0, 0x1000]);
    assert_eq!(cells(&rtc["interrupts"]), [0, 2, 4]);
    assert_eq!(cells(&rtc["clocks"]), [clock]);
    assert_eq!(rtc["clock-names"], b"apb_pclk\0");
}

/// The address goes in after placement, which reserves room beforehand.
#[test]
fn the_initrds_address_does_not_change_the_length() {
    let at = |start| build(&Machine { initrd: Region::new(start, 1), ..machine(ONE) });

    assert_eq!(at(0).unwrap().len(), at(0x7fff_ffff_ffff).unwrap().len());
}

#[test]
fn refuses_more_vcpus_than_the_gic_serves_and_none() {
    for (gic, vcpus, message) in [
        (Gic::V2, 0, "device tree: 0 vCPUs, expected 1 to 8"),
        (Gic::V2, 9, "device tree: 9 vCPUs, expected 1 to 8"),
        (Gic::V3, 636, "device tree: 636 vCPUs, expected 1 to 635"),
    ] {
        let error = build(&Machine { gic, ..machine(&mpidrs(vcpus)) }).unwrap_err();

        assert_eq!(error.to_string(), message);
    }
    assert!(build(&machine(&mpidrs(635))).is_ok());
}

#[test]
fn refuses_what_the_format_or_the_boot_protocol_cannot_take() {
    let nul = build(&Machine { cmdline: "console=ttyAMA0\0", ..machine(ONE) });
    let long = build(&Machine { rng_seed: &vec![0; 0x20_0000], ..machine(ONE) });

    assert_eq!(nul, Err(FdtError::Write(vm_fdt::Error::InvalidString)));
    assert!(matches!(long, Err(FdtError::TooLong { found }) if found > 0x20_0000));
}

#[test]
fn each_virtio_device_has_a_transport_with_an_interrupt_of_its_own() {
    let tree = tree(&Machine { virtio: 33, ..machine(ONE) });

    let is_virtio = |name: &&str| name.starts_with("virtio_mmio@");
    let names: Vec<_> = children(&tree, "/").into_iter().filter(is_virtio).collect();
    assert_eq!(names.len(), 32);
    let last = &tree["/virtio_mmio@a003e00"];
    assert_eq!(last["compatible"], b"virtio,mmio\0");
    assert_eq!(cells(&last["reg"]), [0, 0x0a00_3e00, 0, 0x200]);
    assert_eq!(cells(&last["interrupts"]), [0, 47, 4]);
    assert!(last["dma-coherent"].is_empty());
}

#[test]
fn the_power_button_is_a_key_on_the_gpio() {
    let tree = tree(&machine(ONE));
    let gpio = &tree["/pl061@9030000"];
    assert_eq!(gpio["compatible"], b"arm,pl061\0arm,primecell\0");
    assert_eq!(cells(&gpio["reg"]), [0, 0x0903_0000, 0, 0x1000]);
    assert_eq!(cells(&gpio["interrupts"]), [0, 7, 4]);
    assert_eq!(gpio["gpio-controller"], b"");
    assert_eq!(cells(&gpio["#gpio-cells"]), [2]);

    let key = &tree["/gpio-keys/poweroff"];

    assert_eq!(key["gpios"], [gpio["phandle"].as_slice(), &[0, 0, 0, 3, 0, 0, 0, 0]].concat());
    assert_eq!(cells(&key["linux,code"]), [116]);
    assert_eq!(cells(&tree["/pvpanic@90f0000"]["reg"]), [0, 0x090f_0000, 0, 1]);
}
