//! Linux boots, runs and ends, and the exit status says how.

use tests::Minivmm;

#[test]
fn debian_6_12_boots_runs_a_command_and_powers_off() {
    let vm = Minivmm::boot("6.12", "uname -rm", &[]).finish();

    assert_eq!(vm.status, 0, "{vm:?}");
    assert!(vm.console.contains("6.12."), "{vm:?}");
    assert!(vm.console.contains("aarch64"), "{vm:?}");
    assert_eq!(vm.stderr, "");
}
