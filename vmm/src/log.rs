//! `--console-log`: all of the console's output, as it came.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::exit::Outcome;
use crate::message::say;

/// The file, for as long as it can be written.
#[derive(Default)]
pub struct Log(Option<File>);

impl Log {
    /// Opens or creates the file, if there is to be one. What it has stays until [`Self::begin`]: the run may yet be refused.
    pub fn open(path: Option<&Path>) -> Result<Self, Outcome> {
        let open = |path: &Path| {
            File::options().write(true).create(true).truncate(false).open(path).map_err(|error| {
                Outcome::Unusable(format!("--console-log {}: {error}", path.display()))
            })
        };
        path.map(open).transpose().map(Self)
    }

    /// Empties the file. Where it is none, a pipe or a device, there is nothing to empty.
    pub fn begin(&self) -> io::Result<()> {
        match &self.0 {
            Some(file) if file.metadata()?.is_file() => file.set_len(0),
            _ => Ok(()),
        }
    }

    /// Keeps what is about to be shown. Where the file is a pipe, this lasts as long as its reader likes.
    pub fn keep(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.0
            && let Err(error) = file.write_all(bytes)
        {
            say(format_args!("--console-log: {error}; it ends here"));
            self.0 = None;
        }
    }
}
