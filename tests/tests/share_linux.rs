//! Folders of the host's in a Linux guest, by virtio-fs: as its root file system, and of a user who is not root.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use tests::initramfs::{RDINIT, with_modules};
use tests::minivmm::QUICK;
use tests::pages::{self, difference};
use tests::shell::INIT;
use tests::{Minivmm, Shell, User, generic, guest};

#[test]
fn linux_has_its_root_on_a_share_of_a_user_without_privileges() {
    let user = User::new(1000);
    let shm = user.home();
    let [root, data, seen] = ["root", "data", "seen"].map(|name| shm.join(name));
    let copied = Command::new("cp").args(["-a"]).arg(guest("root")).arg(&root).status().unwrap();
    assert!(copied.success());
    for folder in [&data, &seen] {
        fs::create_dir(folder).unwrap();
    }
    let [source, copy, secret] = ["source", "copy", "secret"].map(|name| format!("{data}/{name}"));
    pages::fill(&source);
    fs::write(shm.join("outside"), "not for guests").unwrap();
    symlink("../outside", format!("{data}/out")).unwrap();
    fs::write(format!("{seen}/file"), "read this").unwrap();
    let is_root = geteuid().is_root();
    if is_root {
        let all = Command::new("chown").args(["-hR", "1000:1000"]).arg(shm.path()).status();
        assert!(all.unwrap().success());
    }
    // Of nobody but root, or without any permission.
    File::create(&secret).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(if is_root { 0o600 } else { 0 })).unwrap();
    if is_root {
        chown(&secret, Some(0), Some(0)).unwrap();
    }
    let initrd = user.lend(with_modules(&generic(), &[]));
    let newroot = "newroot=root newtype=virtiofs";
    let cmdline = format!("{QUICK} console=ttyAMA0 quiet panic=-1 {RDINIT} {newroot} -- {INIT}");
    let image = user.lend(guest(&format!("Image-{}", generic())));
    let (root, seen_read_only) = (format!("{root},tag=root"), format!("{seen},ro"));
    let arguments = [
        "--kernel",
        &image,
        "--initrd",
        &initrd,
        "--cmdline",
        &cmdline,
        "--share",
        &root,
        "--share",
        &data,
        "--share",
        &seen_read_only,
    ];
    let minivmm = Minivmm::spawn(user.minivmm().args(arguments).stdin(Stdio::piped()));
    let mut shell = Shell::on(minivmm);
    let mut run = |command: &str| shell.run(&format!("{command} 2>&1"));

    assert!(run("grep ' / ' /proc/mounts").contains("root / virtiofs rw"));
    let said = run("cat /proc/cmdline");
    assert!(said.contains(" root=root rootfstype=virtiofs rw -- "), "{said}");
    run("mkdir /tmp/data /tmp/seen");
    assert_eq!(run("mount -t virtiofs share1 /tmp/data; mount -t virtiofs share2 /tmp/seen"), "");

    // In parts, each within the patience that a command gets.
    for at in (0..256).step_by(32) {
        let part = format!("bs=1M count=32 skip={at} seek={at} conv=notrunc,fsync");
        let said = run(&format!("dd if=/tmp/data/source of=/tmp/data/copy {part}"));
        assert!(said.contains("32+0 records out"), "{said}");
    }
    assert_eq!(difference(&source, &copy), None);

    // The user's files are root's in the guest, and what root makes there is the user's.
    let owner = fs::metadata(&data).unwrap().uid();
    assert_eq!(run("stat -c %u:%g /tmp/data/source /tmp/data/copy"), "0:0\n0:0");
    assert_eq!(fs::metadata(&copy).unwrap().uid(), owner);
    assert_eq!(run("chown 0:0 /tmp/data/copy; echo $?"), "0");
    assert!(run("chown 5:5 /tmp/data/copy").contains("Operation not permitted"));
    assert!(run("cat /tmp/data/secret").contains("Permission denied"));
    assert!(run("cat /tmp/data/none").contains("No such file or directory"));
    assert!(run("cat /tmp/data/out").contains("No such file or directory"));

    assert_eq!(
        run(
            "mkdir -m 2775 /tmp/data/new && echo text > /tmp/data/new/a && mv /tmp/data/new/a /tmp/data/new/b; ln -s b /tmp/data/new/c; cat /tmp/data/new/c"
        ),
        "text"
    );
    assert_eq!(fs::read_to_string(format!("{data}/new/b")).unwrap(), "text\n");
    assert_eq!(fs::metadata(format!("{data}/new")).unwrap().mode() & 0o7777, 0o2775);
    assert_eq!(
        run("ls -1 /tmp/data/new; rm -r /tmp/data/new; ls -d /tmp/data/new").replace('\n', " "),
        "b c ls: /tmp/data/new: No such file or directory"
    );
    // What the host changes is seen.
    fs::write(format!("{seen}/later"), "hello").unwrap();
    assert_eq!(run("cat /tmp/seen/file /tmp/seen/later"), "read thishello");

    for change in [
        "touch /tmp/seen/new",
        "echo x > /tmp/seen/file",
        "echo x >> /tmp/seen/file",
        "rm /tmp/seen/file",
        "mkdir /tmp/seen/new",
        "mv /tmp/seen/file /tmp/seen/other",
        "ln -s a /tmp/seen/b",
        "ln /tmp/seen/file /tmp/seen/b",
        "chmod 777 /tmp/seen/file",
        "mkfifo /tmp/seen/b",
    ] {
        let said = run(change);
        assert!(said.contains("Read-only file system"), "{change}: {said}");
    }
    assert_eq!(fs::read_to_string(format!("{seen}/file")).unwrap(), "read this");

    let finished = shell.finish("poweroff -f");
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
}
