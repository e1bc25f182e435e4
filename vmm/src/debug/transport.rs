//! How debuggers reach the server: by a socket, or on standard input and output.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stdin, dup2_stdout};

/// Where debuggers of this machine alone come.
pub const LOOPBACK: &str = "127.0.0.1";

/// Where the debuggers are.
pub enum Transport {
    /// They come one after the other.
    Listener(Listener),
    /// There is one, from the start, and never another.
    Stdio(Stdio),
}

/// A socket that waits for debuggers.
pub enum Listener {
    /// TCP, and the host by the name that the user has for it.
    Tcp(TcpListener, String),
    /// A Unix socket, removed at the end.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket.
pub struct SocketFile {
    path: PathBuf,
    /// Somebody else may have put another one in its place.
    id: Option<Id>,
}

impl SocketFile {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), id: id(path) }
    }
}

/// Device, inode, and when it was made, in seconds and nanoseconds: some file systems give the number of an inode again at once.
type Id = (u64, u64, i64, i64);

fn id(path: &Path) -> Option<Id> {
    let data = fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.mtime(), data.mtime_nsec()))
}

impl Listener {
    /// Listens on `host:port`.
    pub fn tcp(host: &str, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((host, port))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener, host.to_owned()))
    }

    /// What GDB's `target remote` takes to come here.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener, host) => {
                // It is bound, and there is no other failure.
                let port = listener.local_addr().map_or(0, |address| address.port());
                let host = if host == LOOPBACK { "" } else { host };
                format!("{host}:{port}")
            }
            Self::Unix(_, file) => file.path.display().to_string(),
        }
    }

    /// Listens on a Unix socket that only its owner may connect to. One that nobody listens on any
    /// more is replaced. To be called before there are threads: the process's umask changes meanwhile.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
        // To connect as one that sends datagrams asks whether somebody has this socket, and does neither wait nor disturb them.
        let ask = || UnixDatagram::unbound()?.connect(path);
        if is_socket && ask().err().is_some_and(refused) {
            fs::remove_file(path)?;
        }
        // Not changed afterwards: somebody could connect in between.
        let before = umask(Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(path);
        umask(before);
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener, SocketFile::of(path)))
    }

    /// Another descriptor of a Unix socket.
    pub fn try_clone_unix(&self) -> io::Result<UnixListener> {
        match self {
            Self::Tcp(..) => Err(ErrorKind::Unsupported.into()),
            Self::Unix(listener, _) => listener.try_clone(),
        }
    }

    /// The next debugger. Does not wait for one.
    pub fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept()?;
                // Packets are small and each waits for its answer.
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(listener, _) => listener.as_raw_fd(),
            Self::Unix(listener, _) => listener.as_raw_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, file) = self
            && file.id.is_some()
            && id(&file.path) == file.id
        {
            // Gone by now is as good.
            let _ = fs::remove_file(&file.path);
        }
    }
}

/// A connection to a client. Neither reading nor writing waits: `WouldBlock` says that it would.
pub trait Stream: Read + Write {
    /// Readable when there is something to read.
    fn input(&self) -> BorrowedFd<'_>;
    /// Writable when there is room.
    fn output(&self) -> BorrowedFd<'_>;
}

impl Stream for TcpStream {
    fn input(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
    fn output(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Stream for UnixStream {
    fn input(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
    fn output(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

/// What were standard input and output.
pub struct Stdio {
    input: File,
    output: File,
}

impl Stdio {
    /// Takes them. In their place is /dev/null, so that nothing else gets in between, and the other
    /// side sees their end when this is dropped.
    pub fn take() -> io::Result<Self> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let null = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        Ok(Self { input, output })
    }
}

impl Stream for Stdio {
    fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
    fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

/// O_NONBLOCK belongs to the open file, which others may have as well, and would stay when minivmm
/// has gone. What is ready does not block: nobody else reads the input, and where there is room,
/// there is room for PIPE_BUF bytes (pipe(7)).
fn check_ready(fd: BorrowedFd<'_>, wanted: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(fd, wanted)], PollTimeout::ZERO)? {
        0 => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl Read for Stdio {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check_ready(self.input.as_fd(), PollFlags::POLLIN)?;
        self.input.read(buffer)
    }
}

impl Write for Stdio {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check_ready(self.output.as_fd(), PollFlags::POLLOUT)?;
        let len = bytes.len().min(libc::PIPE_BUF);
        self.output.write(bytes.get(..len).unwrap_or_default())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
