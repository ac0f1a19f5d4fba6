//! The user's caches of packages, for tools that can read a second cache beside the one they write.
//!
//! Inside a fence such a tool has an empty cache of the run's own, and is told by a variable where to look first
//! (FENCE-4). Cargo has none: its folder is mirrored by links (`bounds.rs`). Never: names a folder that is not there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A cache that may be read, and the variable by which its tool finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The folder; absolute.
    pub folder: PathBuf,
    /// The variable's name.
    pub variable: &'static str,
    /// Its value.
    pub value: OsString,
}

/// How a tool is told.
struct Tool {
    /// Variables that say where the user has the cache, each with what follows below that folder.
    named: &'static [(&'static str, &'static str)],
    /// Where it is else, below the user's home.
    below_home: &'static str,
    variable: &'static str,
    /// What stands before and after the folder in the variable's value.
    around: (&'static str, &'static str),
}

/// Sources: the Go modules reference on `GOPROXY`; Gradle's manual on sharing the dependency cache; Maven's release notes
/// of 3.9 on `MAVEN_ARGS` and the tail of the local repository; NuGet's reference of environment variables.
const TOOLS: &[Tool] = &[
    Tool {
        named: &[("GOMODCACHE", "cache/download"), ("GOPATH", "pkg/mod/cache/download")],
        below_home: "go/pkg/mod/cache/download",
        variable: "GOPROXY",
        around: ("file://", ",https://proxy.golang.org,direct"),
    },
    Tool {
        named: &[("GRADLE_USER_HOME", "caches")],
        below_home: ".gradle/caches",
        variable: "GRADLE_RO_DEP_CACHE",
        around: ("", ""),
    },
    Tool { named: &[], below_home: ".m2/repository", variable: "MAVEN_ARGS", around: ("-Dmaven.repo.local.tail=", "") },
    Tool {
        named: &[("NUGET_PACKAGES", "")],
        below_home: ".nuget/packages",
        variable: "NUGET_FALLBACK_PACKAGES",
        around: ("", ""),
    },
];

/// Finds the caches that the user has. `variable` reads the user's environment.
pub(crate) fn found(home: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Vec<Cache> {
    let folder = |tool: &Tool| {
        let named = tool.named.iter().find_map(|(name, below)| Some(PathBuf::from(variable(name)?).join(below)));
        let folder = named.or_else(|| Some(home?.join(tool.below_home)))?;
        // A blank or a comma would end the value early.
        let is_plain = folder.to_str().is_some_and(|text| !text.contains([' ', ',', ';', '|']));
        (folder.is_absolute() && is_plain && folder.is_dir()).then_some(folder)
    };
    let cache = |tool: &Tool| {
        let folder = folder(tool)?;
        let (before, after) = tool.around;
        let value = [before.as_ref(), folder.as_os_str(), after.as_ref()].into_iter().collect();
        Some(Cache { folder, variable: tool.variable, value })
    };
    TOOLS.iter().filter_map(cache).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_that_are_there_are_named_and_those_that_the_user_moved_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (home, moved) = (folder.path().join("home"), folder.path().join("moved"));
        for place in [home.join(".gradle/caches"), home.join("go/pkg/mod/cache/download"), moved.join("cache/download")]
        {
            std::fs::create_dir_all(place).unwrap();
        }
        let told = |variable: &dyn Fn(&str) -> Option<OsString>| -> Vec<String> {
            let caches = found(Some(&home), variable);
            caches.iter().map(|cache| format!("{}={}", cache.variable, cache.value.display())).collect()
        };
        let gradle = format!("GRADLE_RO_DEP_CACHE={}/.gradle/caches", home.display());
        let go =
            |root: &Path| format!("GOPROXY=file://{}/cache/download,https://proxy.golang.org,direct", root.display());
        assert_eq!(told(&|_| None), [go(&home.join("go/pkg/mod")), gradle.clone()]);
        assert_eq!(told(&|name| (name == "GOMODCACHE").then(|| moved.clone().into())), [go(&moved), gradle.clone()]);
        // One that was moved to where there is nothing is not looked for in its old place.
        assert_eq!(told(&|name| (name == "GOPATH").then(|| moved.clone().into())), [gradle]);
        assert_eq!(found(None, |_| None), []);
    }
}
