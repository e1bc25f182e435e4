//! `--vsock`.

use std::path::PathBuf;

/// The guest's context, and where its connections lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vsock {
    /// Context, 3 or more.
    pub cid: u32,
    /// The host's clients connect here; the guest's connection to port P leads to this path with `_P` behind it.
    pub path: PathBuf,
}

/// cid=N,path=P, in this order: a path may have commas.
pub(super) fn vsock(text: &str) -> Result<Vsock, String> {
    let parts = text.strip_prefix("cid=").and_then(|rest| rest.split_once(",path="));
    let (cid, path) = parts
        .filter(|(_, path)| !path.is_empty())
        .ok_or_else(|| format!("--vsock {text}: expected cid=N,path=PATH"))?;
    // 0 to 2 are the hypervisor, the guest's own and the host, the last one is any (virtio 1.2, 5.10.4).
    let cid = super::number(cid).and_then(|cid| u32::try_from(cid).ok());
    let cid = cid.filter(|cid| (3..u32::MAX).contains(cid));
    let cid =
        cid.ok_or_else(|| format!("--vsock {text}: expected a cid from 3 to {}", u32::MAX - 1))?;
    Ok(Vsock { cid, path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_and_a_path() {
        assert_eq!(vsock("cid=3,path=/tmp/a,b"), Ok(Vsock { cid: 3, path: "/tmp/a,b".into() }));
        for bad in ["", "cid=3", "path=/x", "cid=3,path=", "path=/x,cid=3"] {
            assert_eq!(vsock(bad), Err(format!("--vsock {bad}: expected cid=N,path=PATH")));
        }
        for bad in ["cid=2,path=/x", "cid=x,path=/x", "cid=4294967295,path=/x", "cid=-3,path=/x"] {
            assert_eq!(
                vsock(bad),
                Err(format!("--vsock {bad}: expected a cid from 3 to 4294967294"))
            );
        }
    }
}
