//! A user without privileges.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;

use crate::{Minivmm, Shm};

/// One who has no files.
pub const NOBODY: u32 = 65534;

/// Makes the devices everybody's, as a host's groups make them their members', and files in the home executable, wherever that is, in a mount
/// namespace that ends with the program, so that the host's own devices stay as they are. Not in the home: there may be no devices in `/dev/shm`.
const BECOME: &str = r#"
home=$1 user=$2
shift 2
mount --bind "$home" "$home" && mount -o remount,bind,exec "$home" && mount -t tmpfs none "$home/dev" || exit
for device in kvm net/tun; do
    [ -e "/dev/$device" ] || continue
    own=$home/dev/${device##*/}
    cp -a "/dev/$device" "$own" && chmod 666 "$own" && mount --bind "$own" "/dev/$device" || exit
done
exec /usr/sbin/chroot --userspec="$user:$user" --skip-chdir / "$@""#;

/// Where root runs the tests, a user who has a folder in memory and cannot enter what the tests are run from: that may be in somebody's home.
/// Otherwise whoever runs them.
pub struct User {
    /// None for whoever runs the tests.
    id: Option<u32>,
    home: Shm,
}

impl User {
    /// The one with this number, which is its group's too.
    pub fn new(id: u32) -> Self {
        let user = Self { id: geteuid().is_root().then_some(id), home: Shm::new() };
        fs::create_dir(user.home.join("dev")).expect("an empty folder");
        user.own(user.home.path());
        user
    }

    /// Its folder.
    pub fn home(&self) -> &Shm {
        &self.home
    }

    /// Makes a file its own.
    pub fn own(&self, path: impl AsRef<Path>) {
        if self.id.is_some() {
            chown(path, self.id, self.id).expect("root may");
        }
    }

    /// Where it can read and execute this file, whoever else can: a copy in its folder, of the same name and made once.
    pub fn lend(&self, file: impl AsRef<Path>) -> String {
        let file = file.as_ref();
        if self.id.is_none() {
            return file.to_str().expect("UTF-8").to_owned();
        }
        let copy = self.home.join(file.file_name().and_then(OsStr::to_str).expect("a name"));
        if !Path::new(&copy).exists() {
            fs::copy(file, &copy).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("root may");
        }
        copy
    }

    /// A command that becomes this program, run by the user in its folder. What the program is given must be lent.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(id) = self.id else { return Command::new(program) };
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", BECOME, "sh"]).arg(self.home.path()).arg(id.to_string());
        command.arg(program).current_dir(self.home.path());
        command
    }

    /// As [`Self::command`], minivmm.
    pub fn minivmm(&self) -> Command {
        self.command(self.lend(Minivmm::binary()))
    }
}
