//! What is in a tree, and how one is written that differs from it in some paths.
//!
//! Only the folders on the way to what differs are named and written anew; git's index, in which every path of a
//! repository stands, has no part in it.
//! Relies on names that come in path order, and on nobody putting a name here that git refuses.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use crate::error::Error;
use crate::git::Git;
use crate::object::Objects;
use crate::object_id::{EntryId, TreeId};
use crate::work_folder::split;
use crate::workspace::{Change, How};

/// What a path of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    File,
    Executable,
    Link,
    Submodule,
}

impl Mode {
    /// Takes git's octal digits; whatever a file's permissions were once, its owner may execute it or not.
    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        match digits {
            b"120000" => Some(Self::Link),
            b"160000" => Some(Self::Submodule),
            [b'1', b'0', b'0', owner, _, _] => Some(if owner & 1 == 1 { Self::Executable } else { Self::File }),
            _ => None,
        }
    }

    fn digits(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
            Self::Submodule => "160000",
        }
    }

    /// Whether one could become the other without being another thing.
    fn is_like(self, other: Self) -> bool {
        let is_file = |mode| matches!(mode, Self::File | Self::Executable);
        self == other || is_file(self) && is_file(other)
    }
}

/// What stands at a path of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) id: EntryId,
}

/// All that is in a tree.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// Files, links and submodules.
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
    /// The trees of its folders.
    folders: BTreeMap<Vec<u8>, EntryId>,
}

/// What comes to stand at paths, or that nothing does.
pub(crate) type Changed = Vec<(Vec<u8>, Option<Entry>)>;

/// Splits a line of `ls-tree`: mode, id and path.
fn parse_line(line: &[u8]) -> Option<(&[u8], EntryId, &[u8])> {
    let tab = line.iter().position(|&byte| byte == b'\t')?;
    let mut words = line[..tab].split(|&byte| byte == b' ');
    let (mode, _kind) = (words.next()?, words.next()?);
    Some((mode, EntryId::from_hex(words.next()?)?, &line[tab + 1..]))
}

impl Listing {
    /// Lists a tree.
    pub(crate) fn read(git: &Git, git_folder: &Path, tree: TreeId) -> Result<Self, Error> {
        let call = git.call(git_folder, "ls-tree").arguments(["-r", "-t", "-z", "--full-tree", &tree.to_string()]);
        let answer = call.run()?;
        let (mut entries, mut folders) = (Vec::new(), Vec::new());
        for line in answer.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
            let unusable = || call.unusable(&String::from_utf8_lossy(line));
            let (mode, id, path) = parse_line(line).ok_or_else(unusable)?;
            if mode == b"040000" {
                folders.push((path.to_vec(), id));
            } else {
                let mode = Mode::parse(mode).ok_or_else(unusable)?;
                entries.push((path.to_vec(), Entry { mode, id }));
            }
        }
        Ok(Self { entries: entries.into_iter().collect(), folders: folders.into_iter().collect() })
    }

    /// Writes the tree that has these entries in place of what stands at their paths, or nothing there; it is durable on
    /// return.
    pub(crate) fn write_changed(&self, objects: &Objects, changed: &Changed) -> Result<TreeId, Error> {
        // What changes right in each folder. The deepest folders come first: their names stand in those above.
        let mut folders: BTreeMap<(Reverse<usize>, &[u8]), Vec<Named>> = BTreeMap::new();
        for (path, entry) in changed {
            let (mut folder, name) = split(path);
            folders.entry((Reverse(depth(folder)), folder)).or_default().push((name.to_vec(), entry.map(Child::from)));
            while !folder.is_empty() {
                folder = split(folder).0;
                folders.entry((Reverse(depth(folder)), folder)).or_default();
            }
        }
        folders.entry((Reverse(0), &[][..])).or_default();
        let (mut trees, mut root) = (Vec::new(), objects.name_tree(&[])?);
        while let Some(((_, folder), changed)) = folders.pop_first() {
            let mut children = self.children(folder);
            for (name, child) in changed {
                match child {
                    Some(child) => children.insert(name, child),
                    None => children.remove(&name),
                };
            }
            // Git knows no empty folders but the root.
            let mut tree = None;
            if !children.is_empty() || folder.is_empty() {
                let bytes = encode(&children);
                let id = objects.name_tree(&bytes)?;
                trees.push(bytes);
                // The root comes last.
                root = id;
                tree = Some(Child::tree(id));
            }
            let (above, name) = split(folder);
            if let Some(changed) = folders.get_mut(&(Reverse(depth(above)), above)) {
                changed.push(([name, b"/"].concat(), tree));
            }
        }
        objects.write_trees(&trees)?;
        Ok(root.into_tree())
    }

    /// What stands right in a folder, by name; a folder's ends with a slash, by which git orders it.
    fn children(&self, folder: &[u8]) -> BTreeMap<Vec<u8>, Child> {
        let inside = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let mut children = BTreeMap::new();
        let mut from = Bound::Included(inside.clone());
        while let Some((path, entry)) = self.entries.range((from, Bound::Unbounded)).next() {
            let Some(rest) = path.strip_prefix(&inside[..]) else { break };
            let Some(slash) = rest.iter().position(|&byte| byte == b'/') else {
                children.insert(rest.to_vec(), Child::from(*entry));
                from = Bound::Excluded(path.clone());
                continue;
            };
            let below = &path[..inside.len() + slash];
            if let Some(id) = self.folders.get(below) {
                children.insert(rest[..=slash].to_vec(), Child::tree(*id));
            }
            // The byte after the slash: everything beneath is passed over.
            from = Bound::Included([below, b"0"].concat());
        }
        children
    }

    /// Returns the paths in which this tree comes to differ, in path order.
    pub(crate) fn changes(&self, changed: &Changed) -> Vec<Change> {
        let mut changes: Vec<Change> = changed
            .iter()
            .filter_map(|(path, after)| {
                let how = match (self.entries.get(path), after) {
                    (None, None) => return None,
                    (None, Some(_)) => How::Added,
                    (Some(_), None) => How::Deleted,
                    (Some(before), Some(after)) if before == after => return None,
                    (Some(before), Some(after)) if before.mode.is_like(after.mode) => How::Modified,
                    (Some(_), Some(_)) => How::TypeChanged,
                };
                Some(Change { path: path.clone(), how })
            })
            .collect();
        changes.sort();
        changes
    }
}

/// Encodes a tree as git does: mode, name and id of each entry, in the order of their names.
fn encode(children: &BTreeMap<Vec<u8>, Child>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, Child { mode, id }) in children {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        bytes.extend([mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat());
    }
    bytes
}

/// What comes to stand under a name, or that nothing does; a folder's name ends with a slash.
type Named = (Vec<u8>, Option<Child>);

/// What stands right in a folder.
struct Child {
    mode: &'static str,
    id: EntryId,
}

impl Child {
    fn tree(id: EntryId) -> Self {
        Self { mode: "40000", id }
    }
}

impl From<Entry> for Child {
    fn from(Entry { mode, id }: Entry) -> Self {
        Self { mode: mode.digits(), id }
    }
}

fn depth(folder: &[u8]) -> usize {
    if folder.is_empty() { 0 } else { 1 + folder.iter().filter(|&&byte| byte == b'/').count() }
}
