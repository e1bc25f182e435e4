use super::*;
use crate::image::{ImageHeader, PageSize};

fn image(text_offset: u64, image_size: Option<u64>) -> Kernel {
    Kernel::Image(ImageHeader { text_offset, image_size, page_size: PageSize::K4, anywhere: true })
}

fn region(start: u64, size: u64) -> Region {
    Region::new(start, size).unwrap()
}

fn message(kernel: &Kernel, len: u64, initrd: Option<u64>, ram: u64) -> String {
    place(kernel, len, initrd, ram).unwrap_err().to_string()
}

#[test]
fn an_image_starts_at_ram_and_the_rest_lies_128_mib_on() {
    let placement = place(&image(0, Some(0x211_0000)), 0x200_0000, Some(0x12_3456), GIB);

    assert_eq!(
        placement,
        Ok(Placement {
            kernel: region(0x4000_0000, 0x211_0000),
            initrd: Some(region(0x4800_0000, 0x12_3456)),
            dtb: region(0x4820_0000, 0x20_0000),
        })
    );
}

#[test]
fn a_flat_binary_starts_at_0x80000_with_room_behind_it() {
    let placement = place(&Kernel::Flat, 0x100, None, 64 * MIB);

    assert_eq!(
        placement,
        Ok(Placement {
            kernel: region(0x4008_0000, 0x100),
            initrd: None,
            dtb: region(0x4200_0000, 0x20_0000),
        })
    );
}

#[test]
fn in_short_ram_initrd_and_device_tree_move_down_to_the_kernel() {
    let kernel = image(0, Some(30 * MIB));

    // 30 + 94 + 2 fill 126 MiB; from the middle on there would be 64.
    let placement = place(&kernel, 20 * MIB, Some(94 * MIB), 128 * MIB).unwrap();

    assert_eq!(placement.initrd, Some(region(0x4200_0000, 94 * MIB)));
    assert_eq!(placement.dtb, region(0x47e0_0000, 2 * MIB));
}

#[test]
fn a_kernel_longer_than_128_mib_pushes_the_rest_up() {
    let placement = place(&image(0, Some(200 * MIB)), 1, Some(1), GIB).unwrap();

    assert_eq!(placement.initrd, Some(region(0x4c80_0000, 1)));
}

#[test]
fn a_kernel_occupies_its_file_where_image_size_is_less_or_unknown() {
    for image_size in [None, Some(1), Some(0xfff)] {
        let placement = place(&image(0x8_0000, image_size), 0x1000, None, GIB).unwrap();

        assert_eq!(placement.kernel, region(0x4008_0000, 0x1000));
    }
}

#[test]
fn without_an_initrd_a_kernel_needs_no_window() {
    let kernel = image(0, Some(40 * GIB));

    assert!(place(&kernel, MIB, None, 64 * GIB).is_ok());
    assert_eq!(
        place(&kernel, MIB, Some(MIB), 64 * GIB),
        Err(PlacementError::OutsideWindow { size: MIB })
    );
}

#[test]
fn the_memory_named_in_an_error_is_enough_and_2_mib_less_is_not() {
    for (kernel, len, initrd) in [
        (image(0, Some(33 * MIB)), MIB, Some(100 * MIB + 1)),
        (image(0x8_0000, None), 5 * MIB, Some(PAGE)),
        (image(6 * GIB, Some(MIB)), MIB, Some(1)),
        (Kernel::Flat, 1, None),
        (Kernel::Flat, 2 * MIB, Some(2 * MIB)),
    ] {
        let Err(PlacementError::DoesNotFit { needed: Some(needed), .. }) =
            place(&kernel, len, initrd, PAGE)
        else {
            panic!("{kernel:?} fits into one page");
        };

        assert!(place(&kernel, len, initrd, needed).is_ok());
        assert!(place(&kernel, len, initrd, needed - PAGE).is_err());
    }
}

#[test]
fn says_what_does_not_fit_and_what_would_do() {
    let linux = image(0, Some(0x211_0000));
    for (found, message) in [
        (
            message(&linux, MIB, None, 16 * MIB),
            "kernel: 0x2110000 bytes do not fit into --memory 16M (needs at least --memory 36M)",
        ),
        (
            message(&linux, MIB, Some(0x800_0000), 128 * MIB),
            "initrd: 0x8000000 bytes do not fit into --memory 128M beside the kernel (needs at least --memory 164M)",
        ),
        (
            message(&linux, MIB, None, 34 * MIB),
            "device tree: 0x200000 bytes do not fit into --memory 34M beside the kernel (needs at least --memory 36M)",
        ),
        (
            message(&image(0, Some(u64::MAX)), MIB, None, GIB),
            "kernel: 0xffffffffffffffff bytes do not fit into --memory 1G (nor into any other up to 255G)",
        ),
        (
            message(&linux, MIB, Some(33 * GIB), 64 * GIB),
            "initrd: 0x840000000 bytes do not fit into the 32G that Linux maps from its kernel on",
        ),
        (
            message(&linux, MIB, Some(MAX_RAM), MAX_RAM),
            "initrd: 0x3fc0000000 bytes do not fit into --memory 255G beside the kernel (nor into any other up to 255G)",
        ),
        (
            message(&linux, MIB, None, 0),
            "memory: 0x0 bytes, expected a multiple of 0x1000 up to 255G",
        ),
        (
            message(&linux, MIB, None, MAX_RAM + PAGE),
            "memory: 0x3fc0001000 bytes, expected a multiple of 0x1000 up to 255G",
        ),
        (
            message(&linux, MIB, None, GIB + 1),
            "memory: 0x40000001 bytes, expected a multiple of 0x1000 up to 255G",
        ),
    ] {
        assert_eq!(found, message);
    }
}

/// Every kernel, file length, initrd and RAM size of these lists together, hostile ones among them.
#[test]
fn every_placement_obeys_the_boot_protocol() {
    let sizes = [
        1,
        0xfff,
        PAGE,
        2 * MIB - 1,
        2 * MIB,
        0x211_0000,
        128 * MIB + 1,
        GIB,
        31 * GIB,
        // Fits into the window only without the usual room behind the kernel.
        32 * GIB - 64 * MIB,
        32 * GIB,
        200 * GIB,
        u64::MAX - PAGE,
        u64::MAX,
    ];
    let offsets = [0, 4, 0x8_0000, 2 * MIB, 512 * MIB, 5 * GIB, u64::MAX - 3];
    let rams =
        [PAGE, MIB, 4 * MIB, 6 * MIB + PAGE, 36 * MIB, 128 * MIB, GIB, 3 * GIB, 33 * GIB, MAX_RAM];
    let mut kernels = vec![Kernel::Flat];
    for offset in offsets {
        kernels.push(image(offset, None));
        kernels.extend(sizes.map(|size| image(offset, Some(size))));
    }
    let initrds: Vec<_> = sizes.into_iter().map(Some).chain([None]).collect();

    let mut placed = 0;
    for kernel in &kernels {
        for len in sizes {
            for initrd in &initrds {
                for ram in rams {
                    if let Ok(placement) = place(kernel, len, *initrd, ram) {
                        obeys(kernel, len, *initrd, region(RAM_BASE, ram), placement);
                        placed += 1;
                    }
                }
            }
        }
    }
    assert!(placed > 1000, "only {placed} of the combinations fit");
}

fn obeys(kernel: &Kernel, len: u64, initrd_len: Option<u64>, ram: Region, placement: Placement) {
    let Placement { kernel: at, initrd, dtb } = placement;
    let case =
        format!("{kernel:?} of {len:#x} bytes, initrd {initrd_len:x?} in {ram}: {placement:x?}");

    let (text_offset, image_size) = match kernel {
        Kernel::Image(header) => (header.text_offset, header.image_size.unwrap_or(0)),
        Kernel::Flat => (0x8_0000, 0),
    };
    assert_eq!((at.start() - text_offset) % (2 * MIB), 0, "{case}");
    assert!(at.size() >= image_size && at.size() >= len, "{case}");
    assert!(ram.contains(at), "{case}");

    assert_eq!(dtb.start() % (2 * MIB), 0, "{case}");
    assert_eq!(dtb.size(), 2 * MIB, "{case}");
    assert!(ram.contains(dtb) && !dtb.overlaps(at), "{case}");

    assert_eq!(initrd.map(Region::size), initrd_len, "{case}");
    if let Some(initrd) = initrd {
        let window = region(at.start() & !(GIB - 1), 32 * GIB);
        assert_eq!(initrd.start() % 0x1000, 0, "{case}");
        assert!(ram.contains(initrd), "{case}");
        assert!(!initrd.overlaps(at) && !initrd.overlaps(dtb), "{case}");
        assert!(window.contains(initrd) && window.contains(at), "{case}");
    }
}
