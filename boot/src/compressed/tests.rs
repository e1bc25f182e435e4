mod formats;
mod headers;

use std::io::Write;

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
use lzma_rust2::{LzmaOptions, LzmaWriter, XzOptions, XzWriter};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use vmm_sys_util::tempfile::TempFile;

use super::*;

/// More than what comes out of any of these, but of a bomb.
const LIMIT: u64 = 16 << 20;

/// Something that compresses, by matches near and far: 64 KiB of a generator (xorshift) that everyone has the same of.
fn content() -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let mut bytes: Vec<u8> = vec![0; 16];
    while bytes.len() < 0x1_0000 {
        if next(4) == 0 {
            let literals = next(24);
            bytes.extend((0..literals).map(|_| next(256) as u8));
        } else {
            let farthest = [64, 1024, 4096, 16384, 48000][next(5)].min(bytes.len());
            let start = bytes.len() - 1 - next(farthest);
            for at in start..start + 2 + next(300) {
                bytes.push(bytes[at]);
            }
        }
    }
    bytes.truncate(0x1_0000);
    bytes
}

/// `content`, compressed; for lzop, which has no encoder here, it must be [`content`].
fn compress(format: Format, content: &[u8]) -> Vec<u8> {
    match format {
        Format::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Format::Bzip2 => {
            let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Format::Xz => {
            // As the kernel's build has them.
            let mut options = XzOptions::with_preset(6);
            options.prepend_pre_filter(lzma_rust2::FilterType::BcjArm64, 0);
            options.set_check_sum_type(lzma_rust2::CheckType::Crc32);
            let mut encoder = XzWriter::new(Vec::new(), options).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Format::Lzma => {
            let options = LzmaOptions::with_preset(6);
            let mut encoder = LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Format::Zstd => compress_to_vec(content, CompressionLevel::Fastest),
        Format::Lz4 => {
            let info = FrameInfo::new().block_mode(BlockMode::Linked).content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Format::Lz4Legacy => {
            let blocks = content.chunks(8 << 20).map(lz4_flex::block::compress);
            let blocks =
                blocks.flat_map(|block| [&(block.len() as u32).to_le_bytes()[..], &block].concat());
            b"\x02\x21\x4c\x18".iter().copied().chain(blocks).collect()
        }
        // lzop 1.04, -9.
        Format::Lzop => include_bytes!("tests/content.lzo").to_vec(),
    }
}

const FORMATS: [Format; 8] = [
    Format::Gzip,
    Format::Bzip2,
    Format::Xz,
    Format::Lzma,
    Format::Zstd,
    Format::Lz4,
    Format::Lz4Legacy,
    Format::Lzop,
];

fn file(bytes: &[u8]) -> Source {
    let file = TempFile::new().unwrap();
    file.as_file().write_all(bytes).unwrap();
    Source::from_file(file.into_file()).unwrap()
}

/// What a file of these bytes decompresses to.
fn decompress_up_to(bytes: &[u8], limit: u64) -> Result<Vec<u8>, CompressedError> {
    let file = file(bytes);
    let compressed = Compressed::recognize(&file.head().unwrap(), file.len())?;
    let content = compressed.expect("a compressed file").decompress(&file, limit)?;
    Ok(content.read(usize::MAX).unwrap())
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, CompressedError> {
    decompress_up_to(bytes, LIMIT)
}

/// The line that answers these bytes.
fn message(bytes: &[u8]) -> String {
    line(&decompress(bytes).unwrap_err())
}

/// An error and what caused it.
fn line(error: &dyn Error) -> String {
    error.source().map_or(error.to_string(), |cause| format!("{error}: {}", line(cause)))
}
