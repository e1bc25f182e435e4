//! The thread list as a document (GDB manual, Thread List Format). One `qXfer:threads:read` gives
//! the client what would take it a `qThreadExtraInfo` for each thread at each stop.

use crate::target::{Target, Tid};
use crate::thread_id;

/// The ids of all threads.
pub fn all(target: &dyn Target) -> impl Iterator<Item = Tid> {
    (0..target.threads()).map(Tid::from_index)
}

/// The document with these threads.
pub fn xml(target: &dyn Target, threads: impl Iterator<Item = Tid>, multiprocess: bool) -> String {
    let threads = threads.map(|tid| {
        let id = thread_id::format(tid, multiprocess);
        let name = escape(&target.thread_label(tid));
        format!("<thread id=\"{id}\" core=\"{}\" name=\"{name}\"/>\n", tid.index())
    });
    format!("<?xml version=\"1.0\"?>\n<threads>\n{}</threads>\n", threads.collect::<String>())
}

/// Text inside an attribute. Control characters have no place in XML 1.0, not even escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            control if control.is_control() => out.push('?'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeTarget;

    #[test]
    fn each_thread_has_an_id_a_core_and_a_name() {
        let mut target = FakeTarget::new(2);
        target.labels[1] = "a<b>&\"c\"\n".to_owned();

        assert_eq!(
            xml(&target, all(&target), true),
            "<?xml version=\"1.0\"?>\n\
             <threads>\n\
             <thread id=\"p1.1\" core=\"0\" name=\"vCPU 0\"/>\n\
             <thread id=\"p1.2\" core=\"1\" name=\"a&lt;b>&amp;&quot;c&quot;?\"/>\n\
             </threads>\n"
        );
    }
}
