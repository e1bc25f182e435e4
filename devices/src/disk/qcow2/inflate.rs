//! Compressed clusters. What follows the end of one in its last sector is another's.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress};
use ruzstd::decoding::StreamingDecoder;

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
    let mut inflated = vec![0; cluster];
    let decoder = StreamingDecoder::new(bytes);
    decoder.map_err(io::Error::other)?.read_exact(&mut inflated)?;
    Ok(inflated)
}
