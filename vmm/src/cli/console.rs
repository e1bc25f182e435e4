//! `--console` and `--port`.

use std::path::PathBuf;

use super::Ending;

/// What the guest's console is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Console {
    /// A serial port.
    #[default]
    Pl011,
    /// A virtio console, with what the serial port says shown, too.
    Virtio,
    /// There is none.
    None,
}

impl Console {
    /// `pl011`, `virtio` or `none`; there must be one where the run depends on what it says.
    pub(super) fn parse(text: &str, ending: &Ending) -> Result<Self, String> {
        let console = match text {
            "pl011" => Self::Pl011,
            "virtio" => Self::Virtio,
            "none" => Self::None,
            _ => return Err(format!("--console {text}: expected pl011, virtio or none")),
        };
        let readers = [
            ("--until", ending.until.is_some()),
            ("--fail-on", ending.fail_on.is_some()),
            ("--console-log", ending.console_log.is_some()),
        ];
        match readers.iter().find(|(_, is_given)| *is_given && console == Self::None) {
            Some((flag, _)) => {
                Err(format!("{flag}: reads the console, expected another one than --console none"))
            }
            None => Ok(console),
        }
    }
}

/// A channel between the guest and a Unix socket of the host's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// What the guest finds it by.
    pub name: String,
    /// Where the host's clients connect.
    pub path: PathBuf,
}

/// Characters of a name. Linux has it as a file's.
const NAME: usize = 63;

impl Port {
    /// NAME=PATH each, names told apart.
    pub(super) fn parse_all(texts: &[String]) -> Result<Vec<Self>, String> {
        let most = devices::virtio::console::MOST_CHANNELS;
        if let Some(text) = texts.get(most) {
            return Err(format!("--port {text}: expected at most {most} ports"));
        }
        let mut ports: Vec<Self> = Vec::new();
        for text in texts {
            let port = Self::parse(text)?;
            if ports.iter().any(|other| other.name == port.name) {
                return Err(format!("--port {text}: expected a name that no other port has"));
            }
            ports.push(port);
        }
        Ok(ports)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(_, path)| !path.is_empty());
        let (name, path) = parts.ok_or_else(|| format!("--port {text}: expected NAME=PATH"))?;
        let is_good = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if !(1..=NAME).contains(&name.len()) || !name.bytes().all(is_good) || name.starts_with('.')
        {
            return Err(format!(
                "--port {text}: expected a name of 1 to {NAME} printable characters that a file may have"
            ));
        }
        Ok(Self { name: name.to_owned(), path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Request, parse};

    fn console(words: &[&str]) -> Result<Console, String> {
        match parse(&[&["--kernel", "Image"], words].concat()) {
            Ok(Request::Run(config)) => Ok(config.console),
            Ok(other) => panic!("{other:?}"),
            Err(why) => Err(why),
        }
    }

    #[test]
    fn a_console_is_one_of_three() {
        assert_eq!(console(&[]), Ok(Console::Pl011));
        assert_eq!(console(&["--console", "pl011"]), Ok(Console::Pl011));
        assert_eq!(console(&["--console", "virtio", "--until", "x"]), Ok(Console::Virtio));
        assert_eq!(console(&["--console", "none"]), Ok(Console::None));
        assert_eq!(
            console(&["--console", "hvc0"]),
            Err("--console hvc0: expected pl011, virtio or none".to_owned())
        );
    }

    #[test]
    fn who_reads_the_console_needs_one() {
        for flag in ["--until", "--fail-on", "--console-log"] {
            let why =
                format!("{flag}: reads the console, expected another one than --console none");
            assert_eq!(console(&["--console", "none", flag, "x"]), Err(why));
        }
    }

    fn ports(texts: &[&str]) -> Result<Vec<Port>, String> {
        Port::parse_all(&texts.iter().copied().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn ports_have_names_and_paths() {
        let port = |name: &str, path: &str| Port { name: name.to_owned(), path: path.into() };
        assert_eq!(
            ports(&["org.agent.0=/tmp/a=b,c", "x=y"]),
            Ok(vec![port("org.agent.0", "/tmp/a=b,c"), port("x", "y")])
        );
        for bad in ["", "name", "name="] {
            assert_eq!(ports(&[bad]), Err(format!("--port {bad}: expected NAME=PATH")));
        }
        let long = format!("{}=/x", "n".repeat(64));
        for bad in ["=/x", "a b=/x", "a/b=/x", "..=/x", "ä=/x", &long] {
            assert_eq!(
                ports(&[bad]),
                Err(format!(
                    "--port {bad}: expected a name of 1 to 63 printable characters that a file may have"
                ))
            );
        }
        assert_eq!(
            ports(&["a=/x", "a=/y"]),
            Err("--port a=/y: expected a name that no other port has".to_owned())
        );
    }

    #[test]
    fn there_are_at_most_thirty() {
        let texts: Vec<String> = (0..31).map(|number| format!("p{number}=/x")).collect();

        assert_eq!(Port::parse_all(&texts[..30]).unwrap().len(), 30);
        assert_eq!(
            Port::parse_all(&texts),
            Err("--port p30=/x: expected at most 30 ports".to_owned())
        );
    }
}
