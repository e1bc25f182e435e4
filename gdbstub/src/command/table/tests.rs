use super::*;

#[test]
fn every_packet_is_found_by_its_own_name() {
    for packet in PACKETS {
        let (found, rest) = find(packet.name).unwrap();
        assert_eq!((found.syntax, rest), (packet.syntax, &b""[..]));
    }
}

#[test]
fn names_that_start_alike_are_told_apart() {
    let syntax = |packet| find(packet).map(|(found, _)| found.syntax);

    assert_eq!(syntax(b"qC"), Some("qC"));
    assert_eq!(syntax(b"qCRC:0,4"), Some("qCRC:addr,length"));
    assert_eq!(syntax(b"qSymbol::"), Some("qSymbol::"));
    assert_eq!(syntax(b"vCont?"), Some("vCont?"));
    assert_eq!(syntax(b"qXferX:"), None);
}

#[test]
fn a_name_is_that_of_its_syntax() {
    for packet in PACKETS {
        let name = std::str::from_utf8(packet.name).unwrap();
        assert!(packet.syntax.starts_with(name), "{name} in {}", packet.syntax);
    }
}

/// A conversation in which the packet is sent stands in one of these.
const CONVERSATIONS: [&str; 7] = [
    include_str!("../../session/tests/connection.rs"),
    include_str!("../../session/tests/control.rs"),
    include_str!("../../session/tests/inspection.rs"),
    include_str!("../../session/tests/life.rs"),
    include_str!("../../session/tests/lldb.rs"),
    include_str!("../../session/tests/looking.rs"),
    include_str!("../../session/tests/monitor.rs"),
];

#[test]
fn every_packet_has_a_test_with_its_bytes() {
    for packet in PACKETS {
        let name = std::str::from_utf8(packet.name).unwrap();
        let sent = [format!("> {name}"), format!("\"{name}"), format!("${name}")];
        let is_sent = |text: &&str| sent.iter().any(|sent| text.contains(sent));
        assert!(CONVERSATIONS.iter().any(is_sent), "{name}");
    }
}
