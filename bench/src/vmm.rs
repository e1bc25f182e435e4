//! minivmm and QEMU as child processes, each asked for the same machine.

use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::stage::Stage;
use crate::table::{Must, Row, Series};

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vmm {
    /// The one to compare with.
    Qemu,
    /// This one.
    Minivmm,
}

/// A guest and its machine.
#[derive(Clone)]
pub struct Guest {
    /// Image or flat binary.
    pub kernel: PathBuf,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel command line.
    pub cmdline: Option<String>,
    /// RAM in MiB.
    pub memory: u64,
    /// Number of vCPUs.
    pub cpus: u32,
}

impl Guest {
    /// A flat guest on one vCPU with 512 MiB.
    pub fn flat(kernel: PathBuf) -> Self {
        Self { kernel, initrd: None, cmdline: None, memory: 512, cpus: 1 }
    }

    /// Debian's kernel with the busybox initramfs, likewise.
    pub fn linux(stage: &Stage, cmdline: &str) -> Self {
        Self {
            initrd: Some(stage.file("initramfs.cpio")),
            cmdline: Some(cmdline.into()),
            ..Self::flat(stage.file("Image-6.12"))
        }
    }
}

/// A running VMM. Killed when it is dropped.
pub struct Running {
    child: Child,
}

impl Vmm {
    /// The command for a guest, its console on standard output; stopped until a debugger resumes it
    /// if there is a port for one. Nothing is typed.
    pub fn command(self, stage: &Stage, guest: &Guest, gdb: Option<u16>) -> Command {
        let mut words: Vec<String> = Vec::new();
        let mut command = match self {
            Self::Minivmm => {
                words.extend(["--memory".into(), format!("{}M", guest.memory)]);
                words.extend(["--cpus".into(), guest.cpus.to_string()]);
                words.extend(gdb.iter().flat_map(|port| ["--gdb".into(), port.to_string()]));
                Command::new(stage.file("minivmm"))
            }
            Self::Qemu => {
                let fixed = "-M virt,gic-version=3 -cpu host -enable-kvm -nodefaults -display none \
                             -no-reboot -serial stdio -name bench,debug-threads=on";
                words.extend(fixed.split_whitespace().map(String::from));
                words.extend(["-m".into(), format!("{}M", guest.memory)]);
                words.extend(["-smp".into(), guest.cpus.to_string()]);
                words.extend(gdb.iter().flat_map(|port| {
                    ["-S".into(), "-gdb".into(), format!("tcp:127.0.0.1:{port}")]
                }));
                let qemu = stage.qemu.as_ref().expect("a QEMU");
                let mut command = Command::new(&qemu[0]);
                command.args(&qemu[1..]);
                command
            }
        };
        let [kernel, initrd, cmdline] = match self {
            Self::Minivmm => ["--kernel", "--initrd", "--cmdline"],
            Self::Qemu => ["-kernel", "-initrd", "-append"],
        };
        command.args(words).arg(kernel).arg(&guest.kernel);
        command.args(guest.initrd.iter().flat_map(|path| [initrd.as_ref(), path.as_os_str()]));
        command.args(guest.cmdline.iter().flat_map(|line| [cmdline, line]));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Starts a guest.
    pub fn start(self, stage: &Stage, guest: &Guest, gdb: Option<u16>) -> Running {
        Running::spawn(&mut self.command(stage, guest, gdb))
    }

    /// Milliseconds from exec to the end of the process. What the guest says is read and dropped.
    pub fn whole_run(self, stage: &Stage, guest: &Guest) -> f64 {
        let mut command = self.command(stage, guest, None);
        let start = Instant::now();
        let mut running = Running::spawn(&mut command);
        running.read_to_end();
        let status = running.wait();
        let time = start.elapsed();
        assert!(status.success(), "{self:?}: {status}");
        time.as_secs_f64() * 1e3
    }
}

impl Running {
    fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The guest's console.
    pub fn console(&mut self) -> &mut ChildStdout {
        self.child.stdout.as_mut().expect("a pipe")
    }

    /// All that the guest says from here on.
    pub fn read_to_end(&mut self) -> String {
        let mut said = Vec::new();
        self.console().read_to_end(&mut said).expect("the console");
        String::from_utf8_lossy(&said).into_owned()
    }

    /// How it ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("wait")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A TCP port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Measures the same with both.
pub fn compare(
    stage: &Stage,
    unit: &'static str,
    must: Must,
    mut measure: impl FnMut(Vmm) -> Series,
) -> Row {
    let qemu = stage.qemu.is_some().then(|| measure(Vmm::Qemu));
    Row { unit, qemu, minivmm: Some(measure(Vmm::Minivmm)), must }
}
