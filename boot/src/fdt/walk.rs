//! Reads a blob back for the tests, by the Devicetree Specification's chapter 5 and without vm-fdt.

use std::collections::BTreeMap;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Properties by node path: `tree["/cpus/cpu@0"]["reg"]`. Panics on anything malformed, duplicates included.
pub type Tree = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

pub fn walk(blob: &[u8]) -> Tree {
    assert_eq!(word(blob, 0), 0xd00d_feed, "magic");
    assert_eq!(word(blob, 4) as usize, blob.len(), "totalsize");
    let strings = &blob[word(blob, 12) as usize..];
    let mut at = word(blob, 8) as usize;
    let mut path: Vec<String> = Vec::new();
    let mut tree = Tree::new();
    loop {
        let token = word(blob, at);
        at += 4;
        match token {
            BEGIN_NODE => {
                let name = string(&blob[at..]);
                at = (at + name.len() + 1).next_multiple_of(4);
                path.push(name);
                let old = tree.insert(join(&path), BTreeMap::new());
                assert!(old.is_none(), "{} twice", join(&path));
            }
            END_NODE => {
                path.pop().unwrap();
            }
            PROP => {
                let len = word(blob, at) as usize;
                let name = string(&strings[word(blob, at + 4) as usize..]);
                let value = blob[at + 8..at + 8 + len].to_vec();
                at = (at + 8 + len).next_multiple_of(4);
                let node = tree.get_mut(&join(&path)).unwrap();
                assert!(node.insert(name, value).is_none(), "property twice");
            }
            NOP => {}
            END => {
                assert!(path.is_empty());
                return tree;
            }
            other => panic!("token {other:#x}"),
        }
    }
}

fn join(path: &[String]) -> String {
    match path {
        [_root] => "/".to_owned(),
        _ => path.join("/"),
    }
}

fn word(blob: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(blob[at..at + 4].try_into().unwrap())
}

fn string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}
