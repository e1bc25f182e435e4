//! `qSupported` (RSP manual, General Query Packets).

use crate::command::ClientFeatures;
use crate::packet::PACKET_SIZE;
use crate::reply::Reply;
use crate::session::Session;
use crate::target::Target;

/// A feature that the stub tells the client of, and what docs/protocol.md says of it.
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// When it is offered.
    offer: Offer,
    /// What it means here.
    pub means: &'static str,
}

/// When a feature is offered.
#[derive(Clone, Copy)]
enum Offer {
    /// To everybody.
    Always,
    /// To clients that have it too, as it changes the syntax of what they get.
    IfClient(fn(&ClientFeatures) -> bool),
    /// By targets that have what it takes.
    IfTarget(fn(&dyn Target) -> bool),
}

/// All of them, save for `PacketSize`.
pub static FEATURES: &[Feature] = &[
    Feature {
        name: "QStartNoAckMode",
        offer: Offer::Always,
        means: "acknowledgment can be turned off",
    },
    Feature { name: "vContSupported", offer: Offer::Always, means: "`vCont?` is answered" },
    Feature {
        name: "swbreak",
        offer: Offer::Always,
        means: "stop replies tell software breakpoints, if the client offered it",
    },
    Feature { name: "hwbreak", offer: Offer::Always, means: "likewise hardware breakpoints" },
    Feature {
        name: "ConditionalBreakpoints",
        offer: Offer::Always,
        means: "conditions are evaluated beside the guest",
    },
    Feature {
        name: "BreakpointCommands",
        offer: Offer::IfTarget(|target| target.can_step()),
        means: "so are commands: agent-style `dprintf`; where KVM can single-step",
    },
    Feature { name: "binary-upload", offer: Offer::Always, means: "the `x` packet" },
    Feature { name: "qXfer:features:read", offer: Offer::Always, means: "target.xml" },
    Feature {
        name: "qXfer:threads:read",
        offer: Offer::Always,
        means: "the vCPUs with their names in one packet",
    },
    Feature {
        name: "qXfer:exec-file:read",
        offer: Offer::IfTarget(|target| target.exec_file().is_some()),
        means: "the path of vmlinux, if it is known",
    },
    Feature {
        name: "multiprocess",
        offer: Offer::IfClient(|client| client.multiprocess),
        means: "thread-ids have a process, 1, if the client offered it",
    },
    Feature {
        name: "no-resumed",
        offer: Offer::IfClient(|client| client.no_resumed),
        means: "the stop reply `N`, when all vCPUs that would run are off, if the client offered it",
    },
    Feature {
        name: "error-message",
        offer: Offer::IfClient(|client| client.error_message),
        means: "errors are `E.text`, if the client offered it",
    },
];

impl Session {
    pub(super) fn supported(&mut self, target: &dyn Target, client: ClientFeatures) -> Reply {
        self.client = client;
        let offered = FEATURES.iter().filter(|feature| match feature.offer {
            Offer::Always => true,
            Offer::IfClient(has) => has(&client),
            Offer::IfTarget(has) => has(target),
        });
        let size = format!("PacketSize={PACKET_SIZE:x}");
        let names = offered.map(|feature| format!("{}+", feature.name));
        Reply::Text([size].into_iter().chain(names).collect::<Vec<_>>().join(";"))
    }
}
