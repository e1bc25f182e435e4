//! The images are qemu-img's, of a disk of 64 sectors: `convert [-c] -o cluster_size=,compat=,compression_type=`.

use std::fs::{self, File};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use vm_memory::VolatileSlice;

use super::inflate;
use crate::disk::{Disk, Unusable};

const SECTORS: u64 = 64;
const VERSION_2: &[u8] = include_bytes!("images/version2.qcow2");
const VERSION_2_ZLIB: &[u8] = include_bytes!("images/version2_zlib.qcow2");
const ZLIB: &[u8] = include_bytes!("images/zlib.qcow2");
const ZSTD: &[u8] = include_bytes!("images/zstd.qcow2");

/// What the disk has: zeroes, one byte, text, and what cannot be compressed.
fn sector(number: u64) -> Vec<u8> {
    match number % 4 {
        0 => vec![0; 512],
        1 => vec![number as u8; 512],
        2 => format!("sector {number:06}, ").bytes().cycle().take(512).collect(),
        _ => {
            let mut state = number;
            let mut draw = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            };
            (0..64).flat_map(|_| draw().to_le_bytes()).collect()
        }
    }
}

fn file(bytes: &[u8]) -> File {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("minivmm-qcow2-{}-{number}", process::id()));
    fs::write(&path, bytes).unwrap();
    let file = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    file
}

fn disk(bytes: &[u8]) -> Result<Disk, Unusable> {
    Disk::new(file(bytes), true)
}

fn read(disk: &mut Disk, sector: u64, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0xee; (512 * count) as usize];
    // In two pieces that no cluster has.
    let (first, second) = bytes.split_at_mut(200);
    disk.read(512 * sector, &[VolatileSlice::from(first), VolatileSlice::from(second)])?;
    Ok(bytes)
}

/// With one word of the image changed.
fn changed(image: &[u8], at: usize, word: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    image[at..at + word.len()].copy_from_slice(word);
    image
}

fn refused(image: &[u8], at: usize, word: &[u8]) -> String {
    disk(&changed(image, at, word)).err().expect("an error").to_string()
}

#[test]
fn every_kind_of_image_has_the_same_disk() {
    let expected: Vec<u8> = (0..SECTORS).flat_map(sector).collect();
    for image in [VERSION_2, VERSION_2_ZLIB, ZLIB, ZSTD] {
        let mut disk = disk(image).unwrap();

        assert_eq!(disk.sectors(), SECTORS);
        assert!(disk.is_read_only());
        assert!(read(&mut disk, 0, SECTORS).unwrap() == expected);
        for (first, count) in [(0, 1), (63, 1), (15, 2), (3, 50), (29, 33)] {
            let bytes = read(&mut disk, first, count).unwrap();
            assert!(bytes == expected[512 * first as usize..][..512 * count as usize]);
        }
    }
}

#[test]
fn it_cannot_be_written() {
    let error = Disk::new(file(ZLIB), false).err().unwrap().to_string();

    assert!(error.starts_with("is a qcow2 image and those can only be read, expected ,ro"));
    assert!(disk(ZLIB).unwrap().write::<()>(0, &[]).is_err());
}

#[test]
fn what_is_not_supported_is_named() {
    for (at, word, why) in [
        (7, &[1][..], "of version 1, expected 2 or 3"),
        (
            14,
            &[2],
            "with a backing file, expected one that stands alone (qemu-img convert makes one)",
        ),
        (35, &[1], "that is encrypted, expected one that is not"),
        (79, &[2], "that is marked as corrupt, expected one that qemu-img check has repaired"),
        (79, &[4], "with an external data file, expected one that has its data"),
        (79, &[16], "with extended L2 entries, expected one without"),
        (72, &[0x80], "with features 0x8000000000000000, expected none that are not known"),
        (23, &[8], "with clusters of 2^8 bytes, expected 2^9 to 2^21"),
        (23, &[22], "with clusters of 2^22 bytes, expected 2^9 to 2^21"),
        (31, &[1], "of a disk of 32769 bytes, expected a multiple of 512"),
        (24, &[1], "with 1 L1 entries, expected 8589934593 for 0x100000000008000 bytes"),
        (39, &[0], "with 0 L1 entries, expected 1 for 0x8000 bytes"),
        (
            40,
            &[1],
            "whose L1 table cannot be read: corrupt qcow2 image: a table leads out of the file",
        ),
    ] {
        assert_eq!(refused(ZLIB, at, word), format!("is a qcow2 image {why}"));
    }
    assert_eq!(
        refused(ZSTD, 104, &[2]),
        "is a qcow2 image of compression type 2, expected 0 (zlib) or 1 (zstd)"
    );
    assert!(disk(&ZLIB[..60]).is_err());
}

#[test]
fn a_cluster_marked_as_zeroes_is_that_from_version_3_on() {
    let l1 = u64::from_be_bytes(VERSION_2[40..48].try_into().unwrap()) as usize;
    let l2 = u64::from_be_bytes(VERSION_2[l1..l1 + 8].try_into().unwrap()) as usize & 0xffff_ffff;
    // Of sector 1: bit 0 of its entry.
    let entry = l2 + 8;
    let flag = VERSION_2[entry + 7] | 1;
    let version_2 = changed(VERSION_2, entry + 7, &[flag]);
    let version_3 = changed(&version_2, 7, &[3]);
    // What is an extension of the header in version 2 is features in 3.
    let version_3 = changed(&version_3, 72, &[0; 40]);

    assert!(read(&mut disk(&version_2).unwrap(), 1, 1).unwrap() == sector(1));
    assert!(read(&mut disk(&version_3).unwrap(), 1, 1).unwrap() == vec![0; 512]);
    assert!(read(&mut disk(&version_3).unwrap(), 2, 1).unwrap() == sector(2));
}

#[test]
fn a_table_or_cluster_that_leads_astray_is_an_error_of_the_request() {
    let l1 = u64::from_be_bytes(VERSION_2[40..48].try_into().unwrap()) as usize;
    for entry in [0x80ff_ffff_ffff_fe00, 0x8000_0001_0000_0000] {
        let mut disk = disk(&changed(VERSION_2, l1, &u64::to_be_bytes(entry))).unwrap();

        let error = read(&mut disk, 1, 1).unwrap_err().to_string();

        assert_eq!(error, "corrupt qcow2 image: a table leads out of the file");
    }
}

#[test]
fn an_image_that_ends_early_has_zeroes_or_errors_behind_its_end() {
    for image in [VERSION_2, VERSION_2_ZLIB, ZLIB, ZSTD] {
        for len in (0..image.len()).step_by(509) {
            if let Ok(mut disk) = disk(&image[..len]) {
                let _ = read(&mut disk, 0, SECTORS);
            }
        }
    }
}

#[test]
fn no_image_does_harm() {
    let mut state = 1;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut opened = 0;
    for round in 0..1500 {
        let image = [VERSION_2, VERSION_2_ZLIB, ZLIB, ZSTD][round % 4];
        let mut image = image.to_vec();
        for _ in 0..=draw(4) {
            // In the header, anywhere, or at the first tables.
            let at = [draw(112), draw(image.len()), draw(image.len().min(0x9000))][draw(3)];
            image[at] = [0, 1, 0x7f, 0x80, 0xff, draw(256) as u8][draw(6)];
        }
        if let Ok(mut disk) = disk(&image) {
            opened += 1;
            let sectors = disk.sectors();
            let _ = read(&mut disk, 0, sectors.min(SECTORS));
            let _ = read(&mut disk, sectors - 1, 1);
        }
    }
    assert!(opened > 500, "{opened} of them could be opened");
}

#[test]
fn a_zstd_cluster_takes_no_more_memory_than_a_cluster_whatever_its_window() {
    const CLUSTER: usize = 64 << 10;
    /// A block of one byte repeated (RFC 8878, 3.1.1.2).
    fn block(len: usize, is_last: bool) -> [u8; 4] {
        ((u32::from(is_last) | 1 << 1 | (len as u32) << 3) | 7 << 24).to_le_bytes()
    }
    // The window is 2 TiB, the largest but 7/8 of one.
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8];
    let frame = |blocks: &[[u8; 4]]| [&head[..], blocks.as_flattened()].concat();

    let whole = inflate::zstd(&frame(&[block(CLUSTER, false), block(0, true)]), CLUSTER);
    let short = inflate::zstd(&frame(&[block(CLUSTER - 1, true)]), CLUSTER);
    let long = inflate::zstd(&frame(&[block(CLUSTER + 1, true)]), CLUSTER);
    // 128 GiB, if they were taken.
    let endless = inflate::zstd(&frame(&vec![block(128 << 10, false); 1 << 20]), CLUSTER);

    assert!(whole.unwrap() == vec![7; CLUSTER]);
    assert!(short.is_err());
    for error in [long, endless].map(Result::unwrap_err) {
        assert_eq!(error.to_string(), "corrupt qcow2 image: a compressed cluster is too long");
    }
}
