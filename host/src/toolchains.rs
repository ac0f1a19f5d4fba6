//! Which folders of the user's programs need beside the system's own: those that the search path names, with what lies
//! around them.
//!
//! A toolchain is a folder with `bin` in it, and its programs read what lies beside that. Never: names a folder that holds
//! the user's home, the project or what is Loom's, or one that programs of every kind keep their secrets in.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Names of folders of programs; their parent is the toolchain.
const BINARIES: &[&str] = &["bin", "sbin", "shims", ".bin", "Scripts"];
/// Folders in a home that are shared by programs which have nothing to do with each other.
const SHARED: &[&str] = &[".local", ".config", ".cache", ".cargo"];

/// Returns folders and files that may be read so that what the search path names can be executed. `own` are the project
/// and Loom's folders: no folder that holds one of them is shown.
pub(crate) fn readable(search_path: &OsStr, home: Option<&Path>, own: &[&Path]) -> Vec<PathBuf> {
    // Any of these paths may lead through a link.
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let shared: Vec<PathBuf> = home.iter().flat_map(|home| SHARED.iter().map(|name| real(&home.join(name)))).collect();
    let own: Vec<PathBuf> = own.iter().copied().chain(home).map(real).collect();
    let is_private = |path: &Path| {
        let path = real(path);
        shared.contains(&path) || own.iter().any(|own| own.starts_with(&path))
    };
    let mut found = Vec::new();
    for folder in std::env::split_paths(search_path).filter(|folder| folder.is_absolute() && folder.is_dir()) {
        let is_toolchain = folder.file_name().is_some_and(|name| BINARIES.iter().any(|binaries| name == *binaries));
        let around =
            folder.parent().filter(|_| is_toolchain).filter(|around| !is_private(around) && !keeps_secrets(around));
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

/// Whether a folder has a file that its owner keeps from everybody else, as programs do with their credentials: then it
/// is more than a toolchain.
fn keeps_secrets(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files = entries.filter_map(|entry| entry.metadata().ok()).filter(Metadata::is_file);
    !is_system(folder) && files.any(|file| file.mode() & 0o077 == 0)
}

/// Whether every fence shows it already.
fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib"].iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
        let found = readable(&path, Some(&home), &[&home.join(".local/state/loom")]);
        let wanted = [".nvm/v20", ".local/share/tool/tool", ".local/bin", "bin", ".cargo/bin", "project/node_modules"];
        assert_eq!(found, wanted.map(|name| home.join(name)));
        assert_eq!(readable(OsStr::new("bin:."), Some(&home), &[]), Vec::<PathBuf>::new(), "relative");
    }

    #[test]
    fn neither_the_project_nor_what_is_loom_s_nor_credentials_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        for name in ["home/.service/bin", "project/bin", "data/bin", "data/loom/keys"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let token = folder.join("home/.service/token");
        fs::write(&token, "").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(folder.join("home"), folder.join("link")).unwrap();
        let path = ["home/.service/bin", "project/bin", "data/bin"];
        let own = [folder.join("project"), folder.join("data/loom")];
        let found = |path: &[&str]| {
            let path = std::env::join_paths(path.iter().map(|name| folder.join(name))).unwrap();
            readable(&path, Some(&folder.join("link")), &[&own[0], &own[1]])
        };
        assert_eq!(found(&path), path.map(|name| folder.join(name)), "the programs, and nothing around them");
        assert_eq!(found(&["home", "project", "data", "link"]), Vec::<PathBuf>::new());
    }
}
