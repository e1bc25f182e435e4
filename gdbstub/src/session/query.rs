//! `qSupported` and `qXfer` (RSP manual, General Query Packets).

use crate::command::{ClientFeatures, Object};
use crate::packet::PACKET_SIZE;
use crate::reply::{Error, Reply};
use crate::session::Session;
use crate::target::Target;
use crate::target_xml::TARGET_XML;
use crate::thread_list;

/// Bytes of a document in one reply: it fits a packet even if each of them is escaped.
const MOST: u64 = PACKET_SIZE as u64 / 2 - 1;

impl Session {
    /// Says what there is here. Two features stand only where the client has them too: they
    /// change the syntax of what it gets.
    pub(super) fn supported(&mut self, client: ClientFeatures) -> Reply {
        self.client = client;
        let mut features = format!(
            "PacketSize={PACKET_SIZE:x};QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;\
             qXfer:features:read+;qXfer:threads:read+"
        );
        if client.multiprocess {
            features += ";multiprocess+";
        }
        if client.error_message {
            features += ";error-message+";
        }
        Reply::Text(features)
    }

    /// The document is made anew for each of its parts; it stays the same while the target is
    /// stopped.
    pub(super) fn read_object(
        &self,
        target: &dyn Target,
        object: Object<'_>,
        offset: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        match object {
            Object::Features { annex: b"target.xml" } => part(&TARGET_XML, offset, length),
            Object::Features { .. } => Err(Error::NoSuchAnnex),
            Object::Threads => {
                part(&thread_list::xml(target, self.client.multiprocess), offset, length)
            }
        }
    }
}

fn part(document: &str, offset: u64, length: u64) -> Result<Reply, Error> {
    let rest = usize::try_from(offset).ok().and_then(|offset| document.as_bytes().get(offset..));
    let rest = rest.ok_or(Error::OffsetPastEnd)?;
    let length = length.min(MOST) as usize;
    let data = rest.get(..length).unwrap_or(rest);
    Ok(Reply::Chunk { more: data.len() < rest.len(), data: data.to_vec() })
}
