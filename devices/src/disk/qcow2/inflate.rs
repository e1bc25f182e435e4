//! Compressed clusters. What follows the end of one in its last sector is another's.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::corrupt;

/// A raw deflate stream (RFC 1951).
pub(super) fn zlib(bytes: &[u8], cluster: usize) -> io::Result<Vec<u8>> {
    let mut inflated = vec![0; cluster];
    let mut decoder = Decompress::new(false);
    decoder.decompress(bytes, &mut inflated, FlushDecompress::Finish).map_err(io::Error::other)?;
    if decoder.total_out() == cluster as u64 {
        Ok(inflated)
    } else {
        Err(corrupt("a compressed cluster is too short"))
    }
}

/// One frame (RFC 8878), as QEMU writes them.
pub(super) fn zstd(bytes: &[u8], cluster: usize) -> io::Result<Vec<u8>> {
    let (mut source, mut decoder) = (bytes, FrameDecoder::new());
    decoder.init(&mut source).map_err(io::Error::other)?;
    // Until it is over the decoder hands out nothing but what is further back than the window, and that may be said to be larger than all memory.
    // Behind the last byte there may be an empty block.
    for bytes in [cluster, 1] {
        if !decoder.is_finished() {
            let most = BlockDecodingStrategy::UptoBytes(bytes);
            decoder.decode_blocks(&mut source, most).map_err(io::Error::other)?;
        }
    }
    if !decoder.is_finished() || decoder.can_collect() > cluster {
        return Err(corrupt("a compressed cluster is too long"));
    }
    let mut inflated = vec![0; cluster];
    decoder.read_exact(&mut inflated)?;
    Ok(inflated)
}
