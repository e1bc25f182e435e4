//! `--net`.

use std::path::PathBuf;

/// What the guest's network card is connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Network {
    /// A TAP interface of the host's, by its name.
    Tap(String),
    /// The socket of a program such as passt.
    Passt(PathBuf),
}

/// A network card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Net {
    /// What it is connected to.
    pub network: Network,
    /// Its address.
    pub mac: [u8; 6],
}

/// tap=NAME or passt=PATH, and ,mac=ADDRESS if the last comma is in front of that.
pub(super) fn net(text: &str) -> Result<Net, String> {
    let bad =
        || format!("--net {text}: expected tap=NAME or passt=PATH, with ,mac=ADDRESS if you like");
    let (network, mac) =
        text.rsplit_once(",mac=").map_or((text, None), |(network, mac)| (network, Some(mac)));
    let network = match network.split_once('=') {
        Some((_, "")) | None => return Err(bad()),
        Some(("tap", name)) => Network::Tap(name.to_owned()),
        Some(("passt", path)) => Network::Passt(path.into()),
        Some(_) => return Err(bad()),
    };
    Ok(Net {
        network,
        mac: mac.map_or(Some(MAC), mac_address).ok_or_else(|| {
            format!("--net {text}: expected the address of one card, such as 52:54:00:12:34:56")
        })?,
    })
}

/// The guest's address unless the user gives one: QEMU's.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

/// Six bytes with colons between them, of one card and not of a group of them.
fn mac_address(text: &str) -> Option<[u8; 6]> {
    let byte = |digits: &str| {
        let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    let bytes: Vec<u8> = text.split(':').map(byte).collect::<Option<_>>()?;
    let mac: [u8; 6] = bytes.try_into().ok()?;
    (mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_tap_or_a_socket() {
        let net = |text| net(text).unwrap();
        assert_eq!(net("tap=tap0"), Net { network: Network::Tap("tap0".to_owned()), mac: MAC });
        let mac = [2, 0, 0, 0, 0xab, 0xcd];
        assert_eq!(
            net("passt=/tmp/a,b=c,mac=02:00:00:00:AB:cd"),
            Net { network: Network::Passt("/tmp/a,b=c".into()), mac }
        );
        for bad in
            ["", "tap", "tap=", "passt=", "user", "vde=x", "=x", "passt=,mac=02:00:00:00:00:01"]
        {
            let message = super::net(bad).unwrap_err();
            assert!(
                message.starts_with(&format!("--net {bad}: expected tap=NAME or ")),
                "{message}"
            );
        }
        for bad in [
            "",
            "1:2:3:4:5:6",
            "01:00:00:00:00:00",
            "00:00:00:00:00:00",
            "02:00:00:00:00",
            "02:00:00:00:00:0g",
        ] {
            let message = super::net(&format!("tap=x,mac={bad}")).unwrap_err();
            assert!(
                message.ends_with("expected the address of one card, such as 52:54:00:12:34:56"),
                "{message}"
            );
        }
    }
}
