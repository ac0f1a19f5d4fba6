//! Looks for what must not be seen: a text in files, and in what everybody can read of processes.
//!
//! It promises to find a text as it is, percent-encoded byte by byte, and in base64 at any of the three places where it
//! may begin in a longer text, in both alphabets; in git's folders also in its objects, which it compresses. Not found are
//! other encodings and what others compress.

use aho_corasick::AhoCorasick;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Shortest part of base64 that is looked for: a shorter one would be found by chance.
const PART_MIN: usize = 8;
/// What a driver starts its own binary with when it is not a driver.
const HIDDEN: &[u8] = b"__";

/// A text that must not be seen, ready to be looked for.
#[derive(Debug)]
pub struct Hidden {
    name: String,
    forms: Vec<&'static str>,
    search: AhoCorasick,
}

impl Hidden {
    /// Returns a text under a name by which a finding calls it.
    ///
    /// # Panics
    /// Where the text is empty, which is everywhere.
    pub fn new(name: &str, text: &str) -> Self {
        assert!(!text.is_empty(), "{name} is empty");
        let mut patterns = vec![("plain", text.to_string())];
        for (form, digits) in [("url", "0123456789ABCDEF"), ("url", "0123456789abcdef")] {
            let digit = |value: u8| digits.as_bytes()[usize::from(value)] as char;
            let encoded = text.bytes().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)]);
            patterns.push((form, encoded.collect()));
        }
        for before in 0..3 {
            // The first characters hold bits of what stands before, the last one those of what comes after.
            let bytes = [&[0; 2][..before.min(2)], text.as_bytes()].concat();
            for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
                let encoded = encoding.encode(&bytes);
                let whole = if bytes.len().is_multiple_of(3) { encoded.len() } else { encoded.len() - 1 };
                let part = &encoded[(before * 8).div_ceil(6).min(whole)..whole];
                if part.len() >= PART_MIN {
                    patterns.push(("base64", part.to_string()));
                }
            }
        }
        let search = AhoCorasick::new(patterns.iter().map(|(_, pattern)| pattern)).expect("a few short patterns");
        Hidden { name: name.to_string(), forms: patterns.into_iter().map(|(form, _)| form).collect(), search }
    }

    /// Returns how it stands in these bytes, as in `the credential (base64)`; nothing where it does not.
    pub fn shows(&self, bytes: &[u8]) -> Option<String> {
        let found = self.search.find(bytes)?;
        Some(format!("{} ({})", self.name, self.forms[found.pattern().as_usize()]))
    }

    /// Returns the files below a folder whose content or name shows it, a line each. Links are not followed; what cannot
    /// be read is passed over.
    pub fn files(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            if folder.join("objects").is_dir() && folder.join("HEAD").is_file() {
                let told = |how| format!("an object of git in {} shows {how}", folder.display());
                found.extend(self.shows(&objects(&folder)).map(told));
            }
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let told = |how: String| format!("{} shows {how}", path.display());
                found.extend(self.shows(entry.file_name().as_encoded_bytes()).map(told));
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        found.extend(fs::read(&path).ok().and_then(|bytes| self.shows(&bytes)).map(told));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    /// Returns the processes but this one whose command line or environment shows it, a line each.
    ///
    /// A driver, the binary `loom` as a person starts it, may have it in its environment: there it was given it.
    pub fn processes(&self) -> Vec<String> {
        let own = std::process::id().to_string();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let others = ids.filter(|id| *id != own && id.bytes().all(|byte| byte.is_ascii_digit()));
        others.flat_map(|id| self.process(&id)).collect()
    }

    fn process(&self, id: &str) -> Vec<String> {
        // Gone, or somebody else's.
        let read = |what: &str| fs::read(format!("/proc/{id}/{what}")).unwrap_or_default();
        let line = read("cmdline");
        let environment = if is_driver(&line) { Vec::new() } else { read("environ") };
        let name = String::from_utf8_lossy(line.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        [("command line", line), ("environment", environment)]
            .into_iter()
            .filter_map(|(what, bytes)| {
                let how = self.shows(&bytes)?;
                Some(format!("process {id} ({name}) shows {how} in its {what}"))
            })
            .collect()
    }
}

/// Returns every object of a git folder; none where there is no git.
fn objects(folder: &Path) -> Vec<u8> {
    let mut git = Command::new("git");
    git.arg("--git-dir").arg(folder).args(["cat-file", "--batch-all-objects", "--batch", "--unordered"]);
    git.output().map(|output| output.stdout).unwrap_or_default()
}

fn is_driver(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == 0);
    let is_loom = words.next().is_some_and(|program| program.rsplit(|byte| *byte == b'/').next() == Some(b"loom"));
    is_loom && words.next().is_some_and(|word| !word.starts_with(HIDDEN))
}

/// Says when it is dropped that a text stands in no file below a folder.
///
/// # Panics
/// Where it does, unless the test fails already.
#[derive(Debug)]
pub struct InNoFile {
    /// The text.
    pub hidden: Hidden,
    /// The folder.
    pub folder: std::path::PathBuf,
}

impl Drop for InNoFile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let found = self.hidden.files(&self.folder);
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }
}
