//! LZO1X: Linux Documentation/staging/lzo.rst, bitstream version 0.

/// Instructions and literals that are left.
struct Stream<'a>(&'a [u8]);

impl<'a> Stream<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<usize> {
        self.take(1)?.first().map(|byte| usize::from(*byte))
    }

    fn le16(&mut self) -> Option<usize> {
        Some(self.byte()? | self.byte()? << 8)
    }

    /// A length whose field of an instruction has the value `short`, which tells nothing if it is 0: then it is `long`,
    /// and 255 for each zero that follows, and what stands behind these.
    fn length(&mut self, short: usize, long: usize) -> Option<usize> {
        if short != 0 {
            return Some(short);
        }
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        self.take(zeros)?;
        (zeros * 255 + long).checked_add(self.byte()?)
    }
}

/// What an instruction says beyond literals of its own.
enum Instruction {
    Copy(Match),
    End,
}

/// What is copied from what there is already.
struct Match {
    distance: usize,
    len: usize,
    /// How many literals follow, 0 to 3.
    literals: usize,
}

/// Appends what `block` holds to `content`, at most `most` bytes; `None` if it is corrupt.
pub(super) fn decompress(block: &[u8], content: &mut Vec<u8>, most: usize) -> Option<()> {
    let mut stream = Stream(block);
    // How many literals the last instruction copied, where 4 stands for as many or more.
    let mut state = 0;
    if let Some(&first @ 18..) = block.first() {
        stream.byte()?;
        let literals = usize::from(first) - 17;
        content.extend_from_slice(stream.take(literals)?);
        state = literals.min(4);
    }
    loop {
        let instruction = stream.byte()?;
        if instruction < 16 && state == 0 {
            let literals = 3 + stream.length(instruction, 15)?;
            content.extend_from_slice(stream.take(literals)?);
            state = 4;
            continue;
        }
        let found = match decode(instruction, state, &mut stream)? {
            Instruction::Copy(found) => found,
            Instruction::End => return stream.0.is_empty().then_some(()),
        };
        if content.len().checked_add(found.len)? > most {
            return None;
        }
        repeat(content, &found)?;
        content.extend_from_slice(stream.take(found.literals)?);
        state = found.literals;
    }
}

/// An instruction that is no run of literals.
fn decode(instruction: usize, state: usize, stream: &mut Stream<'_>) -> Option<Instruction> {
    let literals = instruction & 3;
    let found = match instruction {
        0..16 => {
            let near = (instruction >> 2) + (stream.byte()? << 2) + 1;
            if state == 4 {
                Match { distance: near + 0x800, len: 3, literals }
            } else {
                Match { distance: near, len: 2, literals }
            }
        }
        16..32 => {
            let len = 2 + stream.length(instruction & 7, 7)?;
            let operand = stream.le16()?;
            let distance = ((instruction & 8) << 11) + (operand >> 2);
            if distance == 0 {
                // The length is fixed, too.
                return (len == 3).then_some(Instruction::End);
            }
            Match { distance: distance + 0x4000, len, literals: operand & 3 }
        }
        32..64 => {
            let len = 2 + stream.length(instruction & 31, 31)?;
            let operand = stream.le16()?;
            Match { distance: (operand >> 2) + 1, len, literals: operand & 3 }
        }
        _ => {
            let distance = (instruction >> 2 & 7) + (stream.byte()? << 3) + 1;
            Match { distance, len: (instruction >> 5) + 1, literals }
        }
    };
    Some(Instruction::Copy(found))
}

/// Copies what may overlap itself.
fn repeat(content: &mut Vec<u8>, found: &Match) -> Option<()> {
    let start = content.len().checked_sub(found.distance)?;
    let mut left = found.len;
    while left > 0 {
        // All there is since then is one period or more.
        let count = left.min(content.len() - start);
        content.extend_from_within(start..start + count);
        left -= count;
    }
    Some(())
}
