//! What the stub speaks, for people: the tables of docs/protocol.md, made from those that the code
//! itself goes by.

use crate::command::table::PACKETS;
use crate::session::{FEATURES, Feature};

/// Every packet that is understood, as a table in Markdown.
pub fn packets() -> String {
    let head = "| packet | what it does here | manual |\n|---|---|---|\n".to_owned();
    let rows = PACKETS.iter().map(|packet| {
        format!("| `{}` | {} | {} |\n", packet.syntax, packet.does, packet.manual.name())
    });
    [head].into_iter().chain(rows).collect()
}

/// Every feature in the `qSupported` reply, likewise.
pub fn features() -> String {
    let head = "| feature | what it means here |\n|---|---|\n".to_owned();
    let row = |feature: &Feature| format!("| `{}` | {} |\n", feature.name, feature.means);
    [head].into_iter().chain(FEATURES.iter().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md"));

    /// Of each table, what stands in the document from its head to the next empty line.
    fn documented(head: &str) -> String {
        let from = DOCUMENT.find(head).map_or("", |at| &DOCUMENT[at..]);
        let lines = from.split_inclusive('\n').take_while(|line| line.starts_with('|'));
        lines.collect()
    }

    #[test]
    fn the_document_has_every_packet_and_no_other() {
        assert_eq!(
            documented("| packet |"),
            packets(),
            "docs/protocol.md is to have:\n{}",
            packets()
        );
    }

    #[test]
    fn the_document_has_every_feature_and_no_other() {
        assert_eq!(
            documented("| feature |"),
            features(),
            "docs/protocol.md is to have:\n{}",
            features()
        );
    }
}
