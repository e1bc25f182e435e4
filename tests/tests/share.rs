//! `--share` of what cannot be shared.

use std::process::Command;

use tests::{Minivmm, Shm};

#[test]
fn what_is_no_folder_is_named() {
    let shm = Shm::new();
    let fifo = shm.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, why) in [
        ("/nonexistent", "cannot open: No such file or directory (os error 2)"),
        ("/dev/null", "expected a directory"),
        // Whose writer nobody waits for.
        (&fifo, "expected a directory"),
    ] {
        let finished =
            Minivmm::start_bare("poweroff", &["--share", &format!("{path},ro")]).finish();

        assert_eq!(finished.status, 2);
        assert_eq!(finished.stderr, format!("minivmm: --share {path}: {why}\n"));
    }
}
