//! lz4's legacy frame: blocks one after the other, each independent of the others and but for the last of 8 MiB, up to the file's end.
//! It has neither a checksum nor a length of its own: what ends between two blocks, or has a length that no block has, is as good as whole.

use super::Fault;
use super::input::Input;
use super::output::Output;
use crate::bytes::le_u32;

/// Bytes that a block decompresses to, at most.
const BLOCK: usize = 8 << 20;

/// Bytes of a block, at most (`LZ4_COMPRESSBOUND`).
const COMPRESSED: usize = BLOCK + BLOCK / 255 + 16;

/// Decompresses one.
pub(super) fn decompress(input: &mut Input<'_>, output: &mut Output) -> Result<(), Fault> {
    input.le_u32()?;
    let mut block = vec![0; BLOCK];
    while !is_end(input, output) {
        let size = input.le_u32()? as usize;
        let bytes = input.take(size)?;
        let len = lz4_flex::block::decompress_into(bytes, &mut block).map_err(Fault::corrupt)?;
        output.write(block.get(..len).unwrap_or_default())?;
    }
    Ok(())
}

/// Whether what comes is no block: too little for one, another frame, or the length of the content, which may look like the length of a block.
fn is_end(input: &Input<'_>, output: &Output) -> bool {
    let rest = input.rest();
    let is_last = rest.len() == 4;
    le_u32(rest, 0).is_none_or(|size| {
        size as usize > COMPRESSED || size == 0 || is_last && u64::from(size) == output.len()
    })
}
