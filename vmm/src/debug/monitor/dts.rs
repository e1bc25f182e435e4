//! A device tree blob as source (Devicetree Specification v0.4, 5 and 6). The blob may be anybody's: where it makes no
//! sense, the text ends with a comment that says so.

use std::fmt::Write as _;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Nodes inside nodes. Real trees have fewer than ten.
const DEEPEST: usize = 64;
/// Bytes of a name. The specification allows 31, for nodes with their addresses a few more.
const LONGEST: usize = 255;

/// Hands the text to `print`, line by line, which says whether it wants more.
pub fn write(blob: &[u8], mut print: impl FnMut(&str) -> bool) {
    if !print("/dts-v1/;\n") {
        return;
    }
    let blob = Blob { bytes: blob };
    if let Err(why) = blob.write(&mut print) {
        print(&format!("/* {why} */\n"));
    }
}

#[derive(Clone, Copy)]
struct Blob<'a> {
    bytes: &'a [u8],
}

impl<'a> Blob<'a> {
    fn write(self, print: &mut impl FnMut(&str) -> bool) -> Result<(), String> {
        let header = |index: usize| self.word(4 * index).ok_or_else(|| "no header".to_owned());
        let (structure, strings, reservations) = (header(2)?, header(3)?, header(4)?);
        self.reservations(reservations as usize, print);
        let mut at = structure as usize;
        let mut depth = 0_usize;
        loop {
            let token = self.word(at).ok_or_else(|| ends_at(at))?;
            let here = at;
            at += 4;
            let indent = "\t".repeat(depth);
            let line = match token {
                BEGIN_NODE => {
                    let name = self.name(at)?;
                    at = (at + name.len() + 1).next_multiple_of(4);
                    depth += 1;
                    if depth > DEEPEST {
                        return Err(format!("more than {DEEPEST} nodes inside each other"));
                    }
                    let name = if name.is_empty() { "/" } else { &name.escape_ascii().to_string() };
                    format!("{indent}{name} {{\n")
                }
                END_NODE => {
                    depth = depth.checked_sub(1).ok_or_else(|| senseless(here, token))?;
                    format!("{}}};\n", "\t".repeat(depth))
                }
                PROP if depth > 0 => {
                    let (Some(len), Some(name)) = (self.word(at), self.word(at + 4)) else {
                        return Err(ends_at(at));
                    };
                    let start = at + 8;
                    let end = start.saturating_add(len as usize);
                    let value = self.bytes.get(start..end).ok_or_else(|| ends_at(start))?;
                    at = end.next_multiple_of(4);
                    let name = self.name((strings as usize).saturating_add(name as usize))?;
                    format!("{indent}{}{};\n", name.escape_ascii(), written(value))
                }
                NOP => continue,
                END if depth == 0 => return Ok(()),
                _ => return Err(senseless(here, token)),
            };
            if !print(&line) {
                return Ok(());
            }
        }
    }

    /// Memory that the guest is to leave alone: pairs of address and size, up to one of zeroes.
    fn reservations(self, start: usize, print: &mut impl FnMut(&str) -> bool) {
        for at in (start..).step_by(16) {
            let (Some(address), Some(size)) = (self.long(at), self.long(at.saturating_add(8)))
            else {
                return;
            };
            if (address, size) == (0, 0)
                || !print(&format!("/memreserve/ {address:#x} {size:#x};\n"))
            {
                return;
            }
        }
    }

    fn word(self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    fn long(self, at: usize) -> Option<u64> {
        Some(u64::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    /// A string up to its zero byte.
    fn name(self, at: usize) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(at..).ok_or_else(|| ends_at(at))?;
        let rest = rest.get(..=LONGEST).unwrap_or(rest);
        let len = rest.iter().position(|byte| *byte == 0);
        let len = len.ok_or_else(|| format!("a name at {at:#x} that does not end"))?;
        Ok(rest.get(..len).unwrap_or_default())
    }
}

fn ends_at(at: usize) -> String {
    format!("the blob ends before {at:#x}")
}

fn senseless(at: usize, token: u32) -> String {
    format!("found {token:#x} at {at:#x}, expected another token")
}

/// A value with what is in front of it: as strings if it looks like that, as cells if it can be, else as bytes.
fn written(value: &[u8]) -> String {
    if value.is_empty() {
        return String::new();
    }
    let strings: Option<Vec<&[u8]>> =
        value.strip_suffix(b"\0").map(|text| text.split(|byte| *byte == 0).collect());
    let is_text =
        |text: &&[u8]| !text.is_empty() && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if let Some(strings) = strings.filter(|strings| strings.iter().all(is_text)) {
        let quoted = |text: &&[u8]| format!("\"{}\"", text.escape_ascii());
        return format!(" = {}", strings.iter().map(quoted).collect::<Vec<_>>().join(", "));
    }
    let mut text = String::new();
    let (cells, rest) = value.as_chunks();
    if rest.is_empty() {
        for cell in cells {
            // Writing to a string does not fail.
            let _ = write!(text, " {:#x}", u32::from_be_bytes(*cell));
        }
        return format!(" = <{}>", text.trim_start());
    }
    for byte in value {
        let _ = write!(text, " {byte:02x}");
    }
    format!(" = [{}]", text.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(blob: &[u8]) -> String {
        let mut text = String::new();
        write(blob, |line| {
            text += line;
            true
        });
        text
    }

    /// A blob with these words and strings, and one reservation.
    fn blob(structure: &[u32], strings: &[u8]) -> Vec<u8> {
        const HEADER: u32 = 40;
        let at = HEADER + 32;
        let strings_at = at + 4 * structure.len() as u32;
        let mut words = vec![0xd00d_feed, 0, at, strings_at, HEADER, 17, 16, 0, 0, 0];
        words.extend([0, 0x4800_0000, 0, 0x1000, 0, 0, 0, 0]);
        words.extend(structure);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend(strings);
        bytes
    }

    fn chars(text: [u8; 4]) -> u32 {
        u32::from_be_bytes(text)
    }

    #[test]
    fn nodes_and_properties_become_source() {
        let cpus = [BEGIN_NODE, chars(*b"cpus"), 0];
        let structure = [
            &[BEGIN_NODE, 0, PROP, 0, 0, PROP, 8, 2, chars(*b"a\0bc"), chars(*b"d\\\"\0"), NOP][..],
            &cpus,
            &[PROP, 8, 5, 0x11, 0x0900_0000, PROP, 5, 5, 0x0102_0304, 0xff00_0000, END_NODE],
            &[END_NODE, END],
        ]
        .concat();

        assert_eq!(
            text(&blob(&structure, b"e\0mo\0reg\0")),
            "/dts-v1/;\n\
             /memreserve/ 0x48000000 0x1000;\n\
             / {\n\
             \te;\n\
             \tmo = \"a\", \"bcd\\\\\\\"\";\n\
             \tcpus {\n\
             \t\treg = <0x11 0x9000000>;\n\
             \t\treg = [01 02 03 04 ff];\n\
             \t};\n\
             };\n"
        );
    }

    #[test]
    fn what_makes_no_sense_ends_the_text() {
        for (structure, why) in [
            (&[7][..], "found 0x7 at 0x48, expected another token"),
            (&[END_NODE], "found 0x2 at 0x48, expected another token"),
            (&[PROP, 0, 0], "found 0x3 at 0x48, expected another token"),
            (&[BEGIN_NODE, 0, END], "found 0x9 at 0x50, expected another token"),
            (&[BEGIN_NODE, 0, PROP, u32::MAX, 0], "the blob ends before 0x5c"),
            (&[BEGIN_NODE, 0, PROP, 0, u32::MAX], "the blob ends before 0x10000005b"),
            (&[BEGIN_NODE, 0], "the blob ends before 0x50"),
            (&[BEGIN_NODE, chars(*b"abcd")], "a name at 0x4c that does not end"),
            (&[BEGIN_NODE, 0].repeat(65), "more than 64 nodes inside each other"),
        ] {
            let text = text(&blob(structure, b""));
            assert!(text.ends_with(&format!("/* {why} */\n")), "{text}");
        }
        assert_eq!(text(b"short"), "/dts-v1/;\n/* no header */\n");
    }

    #[test]
    fn whoever_wants_no_more_gets_no_more() {
        let mut lines = 0;
        let endless = blob(&[BEGIN_NODE, 0, PROP, 0, 0].repeat(10), b"e\0");
        write(&endless, |_| {
            lines += 1;
            lines < 3
        });
        assert_eq!(lines, 3);
    }
}
