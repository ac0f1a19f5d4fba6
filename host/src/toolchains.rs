//! Which folders of the user's programs need beside the system's own: those that the search path names, with what lies
//! around them.
//!
//! A toolchain is a folder with `bin` in it, and its programs read what lies beside that. Never: names a folder that holds
//! the user's home or Loom's state, or one that programs of every kind keep their secrets in.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of folders of programs; their parent is the toolchain.
const BINARIES: &[&str] = &["bin", "sbin", "shims", ".bin", "Scripts"];
/// Folders in a home that are shared by programs which have nothing to do with each other.
const SHARED: &[&str] = &[".local", ".config", ".cache", ".cargo"];

/// Returns folders and files that may be read so that what the search path names can be executed.
pub(crate) fn readable(search_path: &OsStr, home: Option<&Path>, state_folder: &Path) -> Vec<PathBuf> {
    let is_private = |path: &Path| {
        state_folder.starts_with(path)
            || home.is_some_and(|home| home.starts_with(path) || SHARED.iter().any(|name| home.join(name) == path))
    };
    let mut found = Vec::new();
    for folder in std::env::split_paths(search_path).filter(|folder| folder.is_absolute() && folder.is_dir()) {
        let is_toolchain = folder.file_name().is_some_and(|name| BINARIES.iter().any(|binaries| name == *binaries));
        let around = folder.parent().filter(|_| is_toolchain).filter(|around| !is_private(around));
        let shown = around.unwrap_or(&folder).to_path_buf();
        if is_private(&shown) || found.contains(&shown) {
            continue;
        }
        // Launchers that are links to programs kept elsewhere.
        if !is_system(&folder) {
            let links = fs::read_dir(&folder).into_iter().flatten().flatten();
            found.extend(links.filter_map(|entry| {
                let target = entry.file_type().ok()?.is_symlink().then(|| fs::canonicalize(entry.path()).ok())??;
                (target.is_file() && !is_system(&target) && !target.starts_with(&shown)).then_some(target)
            }));
        }
        found.push(shown);
    }
    found
}

/// Whether every fence shows it already.
fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib"].iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolchains_are_shown_whole_and_what_is_private_is_not() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        let names =
            [".nvm/v20/bin", ".local/bin", ".local/share/tool", "bin", ".cargo/bin", "project/node_modules/.bin"];
        for name in names {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        fs::write(home.join(".local/share/tool/tool"), "").unwrap();
        std::os::unix::fs::symlink(home.join(".local/share/tool/tool"), home.join(".local/bin/tool")).unwrap();
        let path = [".nvm/v20/bin", ".local/bin", "bin", ".cargo/bin", "project/node_modules/.bin", "", "missing/bin"];
        let path = std::env::join_paths(path.map(|name| home.join(name))).unwrap();
        let found = readable(&path, Some(&home), &home.join(".local/state/loom"));
        let wanted = [".nvm/v20", ".local/share/tool/tool", ".local/bin", "bin", ".cargo/bin", "project/node_modules"];
        assert_eq!(found, wanted.map(|name| home.join(name)));
        assert_eq!(readable(OsStr::new("bin:."), Some(&home), &home), Vec::<PathBuf>::new(), "relative");
    }
}
