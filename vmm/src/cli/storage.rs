//! `--disk` and `--share`: a path, and words behind it.

use std::path::PathBuf;

/// Bytes of a serial number (virtio 1.2, 5.2.6.1) and of a tag (5.11.4).
const SERIAL: usize = 20;
const TAG: usize = 36;

/// What `--disk` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// File or block device.
    pub path: PathBuf,
    /// Whether the guest may only read it.
    pub is_read_only: bool,
    /// What the guest tells it by.
    pub serial: String,
}

impl Disk {
    /// `PATH[,ro][,serial=TEXT]`. A comma belongs to the path if no such word follows it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut path, mut is_read_only, mut serial) = (text, false, None);
        while let Some((rest, word)) = path.rsplit_once(',') {
            match (word, word.strip_prefix("serial=")) {
                ("ro", _) => is_read_only = true,
                (_, Some(value)) => serial = Some(value),
                _ => break,
            }
            path = rest;
        }
        if path.is_empty() {
            return Err(format!("--disk {text}: expected PATH[,ro][,serial=TEXT]"));
        }
        let serial = match serial {
            Some(serial) if is_name(serial, SERIAL) => serial.to_owned(),
            Some(_) => {
                return Err(format!(
                    "--disk {text}: expected a serial of 1 to {SERIAL} printable characters"
                ));
            }
            None => serial_of(path),
        };
        Ok(Self { path: path.into(), is_read_only, serial })
    }
}

fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The beginning of the file's name.
fn serial_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.chars().take(SERIAL).map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

/// What `--share` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// Folder.
    pub path: PathBuf,
    /// Whether the guest may only read it.
    pub is_read_only: bool,
    /// What the guest mounts it by.
    pub tag: String,
}

impl Share {
    /// Whether it is the guest's root file system.
    pub fn is_root(&self) -> bool {
        self.tag == "root"
    }

    /// All of them, each `DIR[,tag=TAG][,ro]`. A comma belongs to the path if no such word follows it.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Self>, String> {
        let mut shares: Vec<Self> = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let share = Self::parse(text, number)?;
            if shares.iter().any(|other| other.tag == share.tag) {
                return Err(format!(
                    "--share {text}: another share has the tag {}, expected one of its own",
                    share.tag
                ));
            }
            shares.push(share);
        }
        Ok(shares)
    }

    fn parse(text: &str, number: usize) -> Result<Self, String> {
        let (mut path, mut is_read_only, mut tag) = (text, false, None);
        while let Some((rest, word)) = path.rsplit_once(',') {
            match (word, word.strip_prefix("tag=")) {
                ("ro", _) => is_read_only = true,
                (_, Some(value)) => tag = Some(value),
                _ => break,
            }
            path = rest;
        }
        if path.is_empty() {
            return Err(format!("--share {text}: expected DIR[,tag=TAG][,ro]"));
        }
        let tag = match tag {
            Some(tag) if is_name(tag, TAG) => tag.to_owned(),
            Some(_) => {
                return Err(format!(
                    "--share {text}: expected a tag of 1 to {TAG} printable characters"
                ));
            }
            None => format!("share{number}"),
        };
        Ok(Self { path: path.into(), is_read_only, tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_tags_of_their_own() {
        let parse = |texts: &[&str]| {
            Share::parse_all(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        let share = |path: &str, is_read_only, tag: &str| Share {
            path: path.into(),
            is_read_only,
            tag: tag.to_owned(),
        };

        assert_eq!(
            parse(&["/a", "b,ro", "c,d,tag=root,ro", "e"]),
            Ok(vec![
                share("/a", false, "share0"),
                share("b", true, "share1"),
                share("c,d", true, "root"),
                share("e", false, "share3"),
            ])
        );
        for (bad, why) in [
            (&["a,tag="][..], "--share a,tag=: expected a tag of 1 to 36 printable characters"),
            (&[",ro"], "--share ,ro: expected DIR[,tag=TAG][,ro]"),
            (
                &["a", "b,tag=share0"],
                "--share b,tag=share0: another share has the tag share0, expected one of its own",
            ),
        ] {
            assert_eq!(parse(bad), Err(why.to_owned()));
        }
    }

    fn disk(path: &str, is_read_only: bool, serial: &str) -> Disk {
        Disk { path: path.into(), is_read_only, serial: serial.to_owned() }
    }

    #[test]
    fn words_follow_the_path_in_any_order() {
        assert_eq!(Disk::parse("a.img"), Ok(disk("a.img", false, "a.img")));
        assert_eq!(Disk::parse("/b/a.img,ro"), Ok(disk("/b/a.img", true, "a.img")));
        assert_eq!(Disk::parse("a,serial=X1,ro"), Ok(disk("a", true, "X1")));
        assert_eq!(Disk::parse("a,ro,serial=X1"), Ok(disk("a", true, "X1")));
    }

    #[test]
    fn other_commas_are_the_paths() {
        assert_eq!(Disk::parse("a,b.img,ro"), Ok(disk("a,b.img", true, "a,b.img")));
        assert_eq!(Disk::parse("a,rw"), Ok(disk("a,rw", false, "a,rw")));
    }

    #[test]
    fn a_serial_fits_where_the_guest_reads_it() {
        let long = "a name of some length.img";
        assert_eq!(Disk::parse(long), Ok(disk(long, false, "a_name_of_some_lengt")));
        for bad in ["", "has blank", "123456789012345678901", "é"] {
            let text = format!("a,serial={bad}");
            let expected =
                format!("--disk {text}: expected a serial of 1 to 20 printable characters");
            assert_eq!(Disk::parse(&text), Err(expected));
        }
    }

    #[test]
    fn a_path_is_needed() {
        for bad in ["", ",ro", ",serial=1"] {
            let expected = format!("--disk {bad}: expected PATH[,ro][,serial=TEXT]");
            assert_eq!(Disk::parse(bad), Err(expected));
        }
    }
}
