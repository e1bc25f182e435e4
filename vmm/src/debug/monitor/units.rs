//! Numbers for people.

/// Bytes in the largest unit that they are a multiple of.
pub fn bytes(count: u64) -> String {
    const UNITS: [(u32, &str); 5] =
        [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &&(u32, &str)| count != 0 && count.trailing_zeros() >= *shift;
    match UNITS.iter().find(whole) {
        Some((shift, name)) => format!("{} {name}", count >> shift),
        None => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_largest_unit_that_is_exact() {
        for (count, text) in [
            (0, "0 bytes"),
            (513, "513 bytes"),
            (0x1000, "4 KiB"),
            (0x21_0000, "2112 KiB"),
            (2 << 20, "2 MiB"),
            (1 << 63, "8192 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
