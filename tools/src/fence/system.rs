//! What every fence shows of the machine: programs, libraries, and the settings that those need (FENCE-3).
//!
//! Never: names a file that holds a secret. `/etc` is therefore a list, not a folder.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders of programs and libraries. At the root some of them are links on most machines.
const FOLDERS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"];

/// What programs read below `/etc`: names of users and machines, the linker's cache, certificates, locales.
const SETTINGS: &[&str] = &[
    "alternatives",
    "fonts",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
];

/// Beginnings of further names below `/etc`.
const SETTINGS_OF: &[&str] = &["java"];

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Returns what can be read in every fence, as far as it is there.
pub(super) fn readable() -> Vec<PathBuf> {
    let settings = Path::new("/etc");
    let named = fs::read_dir(settings).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let further = named
        .filter(|name| name.to_str().is_some_and(|name| SETTINGS_OF.iter().any(|start| name.starts_with(start))))
        .map(|name| settings.join(name));
    let listed = SETTINGS.iter().map(|name| settings.join(name));
    let all = FOLDERS.iter().map(PathBuf::from).chain(listed).chain(further);
    all.filter(|path| path.exists()).collect()
}

/// Returns devices that hold nothing of anybody's.
pub(super) fn devices() -> impl Iterator<Item = PathBuf> {
    DEVICES.iter().map(PathBuf::from)
}

/// Returns where a path of [`readable`] leads that is a link to something else that is shown: a link does as well there,
/// and costs less than a mount.
pub(super) fn link_target(path: &Path) -> Option<PathBuf> {
    let is_ours = path.starts_with("/etc") || FOLDERS.iter().any(|folder| Path::new(folder) == path);
    let target = fs::read_link(path).ok().filter(|_| is_ours)?;
    let leads_to = fs::canonicalize(path).ok()?;
    FOLDERS.iter().any(|folder| leads_to.starts_with(folder)).then_some(target)
}
