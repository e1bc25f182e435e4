//! Whose files those of a folder are.

use fuse_backend_rs::abi::fuse_abi::stat64;

/// Who acts, where that cannot be the guest's user: all that the guest does is done as this one, whose files the
/// guest's root has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// The attributes as the guest is to see them.
    pub(super) fn to_guest(self, attributes: &mut stat64) {
        if attributes.st_uid == self.uid {
            attributes.st_uid = 0;
        }
        if attributes.st_gid == self.gid {
            attributes.st_gid = 0;
        }
    }

    /// What the guest means by its attributes.
    pub(super) fn to_host(self, attributes: &mut stat64) {
        if attributes.st_uid == 0 {
            attributes.st_uid = self.uid;
        }
        if attributes.st_gid == 0 {
            attributes.st_gid = self.gid;
        }
    }
}
