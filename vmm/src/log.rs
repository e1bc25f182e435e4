//! `--console-log`: all of the console's output, as it came.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::exit::Outcome;
use crate::message::say;

/// The file, for as long as it can be written.
#[derive(Default)]
pub struct Log(Option<File>);

impl Log {
    /// Creates the file, if there is to be one.
    pub fn create(path: Option<&Path>) -> Result<Self, Outcome> {
        let create = |path: &Path| {
            File::create(path).map_err(|error| {
                Outcome::Unusable(format!("--console-log {}: {error}", path.display()))
            })
        };
        path.map(create).transpose().map(Self)
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
