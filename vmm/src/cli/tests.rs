use super::*;

fn config(words: &[&str]) -> Config {
    match parse(&[&["--kernel", "Image"], words].concat()) {
        Ok(Request::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn error(words: &[&str]) -> String {
    parse(&[&["--kernel", "Image"], words].concat()).unwrap_err()
}

#[test]
fn a_kernel_is_all_it_takes() {
    let config = config(&[]);

    assert_eq!(config.memory, 512 << 20);
    assert_eq!(config.cpus, 1);
    assert_eq!(config.cmdline, "");
    assert_eq!(config.gdb, None);
    assert!(parse(&[]).unwrap_err().starts_with("--kernel: missing"));
}

#[test]
fn sizes_take_k_m_and_g() {
    assert_eq!(config(&["--memory", "3G"]).memory, 3 << 30);
    assert_eq!(config(&["--memory", "128m"]).memory, 128 << 20);
    assert_eq!(config(&["--memory", "4096K"]).memory, 4 << 20);
    assert_eq!(config(&["--memory", "2097152"]).memory, 2 << 20);
}

#[test]
fn bad_sizes_are_named_with_what_was_expected() {
    for bad in [
        "0",
        "1T",
        "12Q",
        "",
        "M",
        "-1G",
        "+1G",
        " 1G",
        "1.5G",
        "1M",
        "3M",
        "256G",
        "99999999999999999999",
        "18446744073709551615G",
        "1Gé",
    ] {
        assert_eq!(
            error(&["--memory", bad]),
            format!("--memory {bad}: expected a multiple of 2M from 2M to 255G")
        );
    }
}

#[test]
fn bad_cpu_counts_are_refused() {
    for bad in ["0", "-1", "two", "", "1K", "99999999999999999999"] {
        assert_eq!(
            error(&["--cpus", bad]),
            format!("--cpus {bad}: expected a number of vCPUs, 1 or more")
        );
    }
    assert_eq!(config(&["--cpus", "512"]).cpus, 512);
}

#[test]
fn cpu_features_are_names_with_on_or_off() {
    let features = config(&["--cpu-features", "pauth=off,mte=on"]).cpu_features;

    assert_eq!(features.of(Feature::Pauth), Some(false));
    assert_eq!(features.of(Feature::Mte), Some(true));
    assert_eq!(config(&[]).cpu_features, Choices::default());
    assert_eq!(
        error(&["--cpu-features", "sve=off,sme=on"]),
        "--cpu-features sve=off,sme=on: found \"sme=on\", expected NAME=on or NAME=off of mte, pauth, pmu, sve"
    );
}

#[test]
fn a_bare_gdb_port_is_on_loopback() {
    let tcp = |host: &str, port| Some(GdbAddress::Tcp(host.to_owned(), port));
    assert_eq!(config(&["--gdb", "1234"]).gdb, tcp("127.0.0.1", 1234));
    assert_eq!(config(&["--gdb", "0.0.0.0:1"]).gdb, tcp("0.0.0.0", 1));
    assert_eq!(config(&["--gdb", "[::1]:65535"]).gdb, tcp("::1", 65535));
    assert_eq!(config(&["--gdb", "unix:/tmp/s:1"]).gdb, Some(GdbAddress::Unix("/tmp/s:1".into())));
    assert_eq!(config(&["--gdb", "stdio"]).gdb, Some(GdbAddress::Stdio));
    assert_eq!(config(&["--gdb", "0"]).gdb, tcp("127.0.0.1", 0));
    for bad in ["", "unix:", "65536", ":1234", "host:", "host", "1234x", "stdio:", "Stdio"] {
        assert_eq!(
            error(&["--gdb", bad]),
            format!("--gdb {bad}: expected PORT, HOST:PORT, unix:PATH or stdio")
        );
    }
}

#[test]
fn a_seed_is_a_number_of_64_bits() {
    assert_eq!(config(&[]).kaslr_seed, None);
    assert_eq!(config(&["--kaslr-seed", "0"]).kaslr_seed, Some(0));
    assert_eq!(config(&["--kaslr-seed", "12345"]).kaslr_seed, Some(12345));
    assert_eq!(
        config(&["--kaslr-seed", "0xFedcba9876543210"]).kaslr_seed,
        Some(0xfedc_ba98_7654_3210)
    );
    for bad in ["", "0x", "x", "-1", "+1", "0x+1", "12a", "1K", "0x10000000000000000"] {
        assert_eq!(
            error(&["--kaslr-seed", bad]),
            format!("--kaslr-seed {bad}: expected a number of 64 bits, decimal or with 0x")
        );
    }
}

#[test]
fn unknown_words_and_missing_values_are_one_line() {
    for words in [&["--nonsense"][..], &["extra"], &["--memory"]] {
        let message = error(words);
        assert!(!message.contains('\n'), "{message:?}");
        assert!(message.contains(words[0]), "{message:?}");
    }
}

#[test]
fn flags_that_contradict_or_lack_each_other_are_refused() {
    assert!(error(&["--gdb-nowait"]).contains("--gdb"));
    assert!(error(&["--dtb", "a", "--dump-dtb", "b"]).contains("--dtb"));
    assert!(error(&["--dtb", "a", "--kaslr-seed", "1"]).contains("--dtb"));
}

#[test]
fn help_and_version_are_printed() {
    let Ok(Request::Print(help)) = parse(&["--help"]) else { panic!("no help") };
    assert!(help.contains("--gdb-nowait"));
    let Ok(Request::Print(version)) = parse(&["--version"]) else { panic!("no version") };
    assert_eq!(version, concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n"));
}
