//! What every fence shows of the machine: programs, libraries, and the settings that those need.
//!
//! Never: names a file that holds a secret. `/etc` is therefore a list, not a folder.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders of programs and libraries. At the root some of them are links on most machines.
const FOLDERS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"];

/// What programs read below `/etc`: names of users and machines, the linker's cache, certificates, locales.
const SETTINGS: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "profile",
    "protocols",
    "resolv.conf",
    "services",
    "shells",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Beginnings of further names below `/etc`.
const SETTINGS_OF: &[&str] = &["java", "python", "perl", "maven", "gcc"];

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

/// Whether a path is a folder at the root, which may be a link to another.
pub(super) fn is_root_link(path: &Path) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder) == path)
}
