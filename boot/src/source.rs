//! A regular, non-empty, readable file that goes into the guest.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

/// Bytes from a file's start that [`crate::image::identify`] wants to see.
pub const HEAD_SIZE: usize = 4096;

/// An open file and the length it had when it was opened.
///
/// The length is a snapshot: placement is computed from it, and loading reports a file that shrank meanwhile.
#[derive(Debug)]
pub struct Source {
    file: File,
    len: u64,
    /// What it consists of, in ascending order, where that is not the whole file. In between are zeroes.
    pieces: Option<Vec<Piece>>,
}

/// Bytes that are together in the file and in what is made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where they go, from the start.
    pub at: u64,
    /// How many there are.
    pub len: u64,
    /// Where they are in the file.
    pub offset: u64,
}

impl Piece {
    /// Behind where they go.
    pub fn end(&self) -> u64 {
        self.at + self.len
    }
}

impl Source {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        // Looked at before opening, because opening a FIFO waits for its writer.
        check(&fs::metadata(path).map_err(SourceError::Open)?)?;
        Self::from_file(File::open(path).map_err(SourceError::Open)?)
    }

    /// Takes a file that is already open for reading.
    pub fn from_file(file: File) -> Result<Self, SourceError> {
        let len = check(&file.metadata().map_err(SourceError::Open)?)?;
        Ok(Self { file, len, pieces: None })
    }

    /// Another one made of these parts of the file, which do not overlap; `None` if that is nothing.
    pub(crate) fn of_pieces(self, pieces: Vec<Piece>) -> Option<Self> {
        let len = pieces.last().map(Piece::end).filter(|len| *len > 0)?;
        Some(Self { file: self.file, len, pieces: Some(pieces) })
    }

    /// The open file. Its position has no meaning.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The parts of the file that it is made of, in ascending order. What is between them is zero.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        let whole = self.pieces.is_none().then_some(Piece { at: 0, len: self.len, offset: 0 });
        whole.into_iter().chain(self.pieces.iter().flatten().copied())
    }

    /// Length in bytes, never 0.
    #[expect(clippy::len_without_is_empty, reason = "an empty file is no Source")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The first [`HEAD_SIZE`] bytes, or all of a shorter file.
    pub fn head(&self) -> Result<Vec<u8>, SourceError> {
        self.read(HEAD_SIZE)
    }

    /// The first `limit` bytes, or all of a shorter file.
    pub(crate) fn read(&self, limit: usize) -> Result<Vec<u8>, SourceError> {
        let len = usize::try_from(self.len).map_or(limit, |len| len.min(limit));
        let mut bytes = vec![0; len];
        self.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Fills `bytes`, which are zero, from `at` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<(), SourceError> {
        let end = at.saturating_add(bytes.len() as u64);
        for piece in self.pieces() {
            let (from, to) = (piece.at.max(at), piece.end().min(end));
            if from < to
                && let Some(part) = bytes.get_mut((from - at) as usize..(to - at) as usize)
            {
                let offset = piece.offset + (from - piece.at);
                self.file.read_exact_at(part, offset).map_err(SourceError::Read)?;
            }
        }
        Ok(())
    }
}

/// Length of a usable file.
fn check(metadata: &Metadata) -> Result<u64, SourceError> {
    if !metadata.is_file() {
        return Err(SourceError::NotRegular(kind(metadata.file_type())));
    }
    match metadata.len() {
        0 => Err(SourceError::Empty),
        len => Ok(len),
    }
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        t if t.is_dir() => "a directory",
        t if t.is_fifo() => "a FIFO",
        t if t.is_socket() => "a socket",
        t if t.is_block_device() => "a block device",
        t if t.is_char_device() => "a character device",
        _ => "a special file",
    }
}

/// Why a file cannot go into the guest. The user chose the file; nothing has been started.
#[derive(Debug)]
pub enum SourceError {
    /// It cannot be opened or looked at.
    Open(io::Error),
    /// It cannot be read.
    Read(io::Error),
    /// It is a directory, a FIFO, a device: named here.
    NotRegular(&'static str),
    /// It has no bytes.
    Empty,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => write!(f, "cannot open"),
            Self::Read(_) => write!(f, "cannot read"),
            Self::NotRegular(kind) => write!(f, "is {kind}, expected a regular file"),
            Self::Empty => write!(f, "is empty"),
        }
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open(error) | Self::Read(error) => Some(error),
            Self::NotRegular(_) | Self::Empty => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use vmm_sys_util::tempdir::TempDir;
    use vmm_sys_util::tempfile::TempFile;

    use super::*;

    fn message(path: &Path) -> String {
        Source::open(path).unwrap_err().to_string()
    }

    #[test]
    fn reads_the_head_of_a_long_file_and_all_of_a_short_one() {
        for len in [1, 64, 4095, 4096, 4097, 10_000] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let file = TempFile::new().unwrap();
            file.as_file().write_all(&bytes).unwrap();

            let source = Source::open(file.as_path()).unwrap();

            assert_eq!(source.len(), len as u64);
            assert_eq!(source.head().unwrap(), bytes[..len.min(4096)]);
        }
    }

    #[test]
    fn names_what_is_not_a_regular_file() {
        let dir = TempDir::new().unwrap();
        let socket = dir.as_path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let fifo = dir.as_path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());

        assert_eq!(message(dir.as_path()), "is a directory, expected a regular file");
        assert_eq!(message(&socket), "is a socket, expected a regular file");
        assert_eq!(message(&fifo), "is a FIFO, expected a regular file");
        assert_eq!(
            message(Path::new("/dev/null")),
            "is a character device, expected a regular file"
        );
    }

    #[test]
    fn refuses_an_empty_file() {
        let file = TempFile::new().unwrap();

        assert_eq!(message(file.as_path()), "is empty");
    }

    #[test]
    fn a_missing_file_keeps_the_systems_reason() {
        let error = Source::open(Path::new("/nonexistent/Image")).unwrap_err();

        let reason = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(reason.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_shrank_is_an_error_not_a_short_head() {
        let file = TempFile::new().unwrap();
        file.as_file().write_all(&[0x55; 100]).unwrap();
        let source = Source::open(file.as_path()).unwrap();

        file.as_file().set_len(50).unwrap();

        assert!(matches!(source.head(), Err(SourceError::Read(_))));
    }
}
