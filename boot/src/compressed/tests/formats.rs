//! What is compressed comes out again, or the reason why not.

use super::*;

#[test]
fn each_format_is_recognized_and_decompressed() {
    for format in FORMATS {
        let bytes = compress(format, &content());

        assert!(bytes.len() < 0x1_0000, "{format}");
        assert_eq!(Format::recognize(&bytes), Some(format));
        assert_eq!(decompress(&bytes).unwrap(), content(), "{format}");
    }
}

#[test]
fn the_length_that_the_kernels_build_puts_behind_is_not_looked_at() {
    for format in FORMATS {
        let mut bytes = compress(format, &content());
        bytes.extend((content().len() as u32).to_le_bytes());

        assert_eq!(decompress(&bytes).unwrap(), content(), "{format}");
    }
}

#[test]
fn a_few_bytes_behind_are_not_looked_at() {
    for format in FORMATS {
        for more in [&[0][..], &[1, 2], &[0, 0, 0]] {
            let bytes = [&compress(format, &content()), more].concat();

            assert_eq!(decompress(&bytes).unwrap(), content(), "{format}");
        }
    }
}

#[test]
fn what_parallel_compressors_cut_in_parts_is_put_together() {
    // LZMA has no magic to tell the second by.
    for format in FORMATS.into_iter().filter(|format| *format != Format::Lzma) {
        let bytes = compress(format, &content()).repeat(2);

        assert_eq!(decompress(&bytes).unwrap(), content().repeat(2), "{format}");
    }
}

#[test]
fn legacy_lz4_goes_on_behind_its_first_block() {
    let mut content = vec![0; 8 << 20];
    content.extend(super::content());
    let mut bytes = compress(Format::Lz4Legacy, &content);

    assert!(decompress(&bytes).unwrap() == content);
    bytes.extend((content.len() as u32).to_le_bytes());
    assert!(decompress(&bytes).unwrap() == content);
}

#[test]
fn every_cut_is_an_error_that_says_so() {
    for format in FORMATS {
        let bytes = compress(format, &content());
        let cuts = (16..bytes.len() - 16).step_by(bytes.len() / 16);
        for len in cuts.chain(bytes.len() - 16..bytes.len()) {
            let message = message(&bytes[..len]);

            let expected = format!("{format}-compressed file: truncated, expected more");
            assert_eq!(message, expected, "{len} of {}", bytes.len());
        }
    }
}

#[test]
fn damage_ends_in_an_error_or_the_same_content() {
    for format in FORMATS {
        let bytes = compress(format, &content());
        let has_checksum = !matches!(format, Format::Lzma | Format::Lz4Legacy);
        for at in (0..32).chain((32..bytes.len()).step_by(bytes.len() / 40)) {
            for damage in [0x01, 0xf0] {
                let mut bytes = bytes.clone();
                bytes[at] ^= damage;
                let file = file(&bytes);
                let compressed = Compressed::recognize(&bytes[..bytes.len().min(4096)], file.len());
                let Ok(Some(compressed)) = compressed else { continue };

                let found = compressed.decompress(&file, LIMIT);

                if let Ok(found) = found
                    && has_checksum
                {
                    let found = found.read(usize::MAX).unwrap();
                    assert!(found == content(), "{format}: {damage:#x} at {at:#x}");
                }
            }
        }
    }
}

#[test]
fn a_bomb_is_put_out_at_the_size_of_ram() {
    let zeroes = vec![0; 1 << 19];
    for format in FORMATS.into_iter().filter(|format| *format != Format::Lzop) {
        let bytes = compress(format, &zeroes);

        let error = decompress_up_to(&bytes, 1 << 18).unwrap_err();

        let expected =
            format!("{format}-compressed file: its content does not fit into --memory 256K");
        assert_eq!(line(&error), expected);
    }
}

#[test]
fn a_file_that_is_larger_than_ram_is_not_even_read() {
    let file = TempFile::new().unwrap();
    file.as_file().write_all(&compress(Format::Gzip, &content())).unwrap();
    file.as_file().set_len(1 << 40).unwrap();
    let file = Source::from_file(file.into_file()).unwrap();
    let compressed = Compressed::recognize(&file.head().unwrap(), file.len()).unwrap().unwrap();

    let error = compressed.decompress(&file, 512 << 20).unwrap_err();

    assert_eq!(line(&error), "gzip-compressed file: its content does not fit into --memory 512M");
}

#[test]
fn nothing_compressed_is_no_kernel() {
    for format in [Format::Gzip, Format::Bzip2, Format::Lz4, Format::Lz4Legacy] {
        let expected = format!("{format}-compressed file: without content, expected a kernel");
        assert_eq!(message(&compress(format, &[])), expected);
    }
}

#[test]
fn nobody_can_shorten_what_came_out() {
    let file = file(&compress(Format::Gzip, &content()));
    let compressed = Compressed::recognize(&file.head().unwrap(), file.len()).unwrap().unwrap();

    let content = compressed.decompress(&file, LIMIT).unwrap();

    assert!(content.file().set_len(0).is_err());
}
