//! Rooms and arrows: who may know whom, read from `cargo metadata`.
//!
//! ```text
//! cli
//! server
//! host │ replay
//! tools providers │ store bundles      replay knows those on the right only
//! core                                 tools knows nobody
//! ```

use crate::tree::{none, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crate, folder, the crates of ours that it may know, and those that its tests may know beside them.
///
/// Only what a room needs stands here: an arrow more is a decision, to be made in this table.
const ROOMS: &[(&str, &str, &[&str], &[&str])] = &[
    ("loom-core", "core", &[], &[]),
    ("loom-store", "store", &["loom-core"], &[]),
    ("loom-bundles", "bundles", &["loom-core"], &[]),
    ("loom-tools", "tools", &[], &[]),
    ("loom-providers", "providers", &["loom-core"], &["loom-tools", "loom-endpoint"]),
    (
        "loom-host",
        "host",
        &["loom-core", "loom-store", "loom-tools", "loom-providers", "loom-bundles"],
        &["loom-endpoint"],
    ),
    ("loom-server", "server", &["loom-core", "loom-store", "loom-host"], &[]),
    ("loom-replay", "replay", &["loom-core", "loom-store", "loom-bundles"], &["loom-host"]),
    // The binary is where everything is put together. It needs the store to read without driving, bundles to check rules,
    // the scripted model for the demo, and from tools the guard, which is a hidden subcommand of the same binary.
    (
        "loom-cli",
        "cli",
        &[
            "loom-core",
            "loom-store",
            "loom-bundles",
            "loom-tools",
            "loom-providers",
            "loom-host",
            "loom-server",
            "loom-replay",
        ],
        &["loom-endpoint"],
    ),
    // The simulator invents trouble for everybody and ships with nobody.
    (
        "loom-sim",
        "fuzz/sim",
        &["loom-core", "loom-store", "loom-tools", "loom-providers", "loom-bundles", "loom-host", "loom-replay"],
        &[],
    ),
    // What agents' tests ask in place of a model; it stands outside of Loom, so it knows nobody.
    ("loom-endpoint", "fuzz/endpoint", &[], &[]),
    ("loom-specs", "specs", &[], &[]),
];

/// What core may use of others' code: a hash, a cache format, a tree's hash, error texts.
const CORE_USES: &[&str] = &["blake3", "rkyv", "sha2", "thiserror"];

/// Names that say nothing about what a crate is for.
const NAMES_BANNED: &[&str] = &["utils", "util", "common", "types", "manager", "helpers", "shared", "misc"];

struct Package {
    name: String,
    folder: String,
    manifest: String,
    publishes: bool,
    described: bool,
    dependencies: Vec<(String, bool)>,
}

fn packages() -> Vec<Package> {
    let root = root();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(&root)
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    array(&metadata["packages"])
        .iter()
        .map(|package| {
            let manifest = text(&package["manifest_path"]);
            let folder = manifest.strip_suffix("/Cargo.toml").expect("a manifest is Cargo.toml");
            let folder = folder.strip_prefix(root.to_str().expect("UTF-8")).expect("members lie below the root");
            Package {
                name: text(&package["name"]),
                folder: folder.trim_start_matches('/').to_string(),
                manifest: std::fs::read_to_string(&manifest).expect("the manifest can be read"),
                // `publish = false` is an empty list of registries.
                publishes: !package["publish"].as_array().is_some_and(Vec::is_empty),
                described: package["description"].is_string(),
                dependencies: array(&package["dependencies"])
                    .iter()
                    .map(|found| (text(&found["name"]), found["kind"] == "dev"))
                    .collect(),
            }
        })
        .collect()
}

#[test]
fn every_arrow_is_in_the_table() {
    let mut breaches = Vec::new();
    for package in packages() {
        let Some((_, folder, may, tests_may)) = ROOMS.iter().find(|room| room.0 == package.name) else {
            breaches.push(format!("{} is in no room: add it to the table, with its arrows", package.name));
            continue;
        };
        if package.folder != *folder {
            breaches.push(format!("{} lies in {}, not in {folder}", package.name, package.folder));
        }
        for (other, is_dev) in package.dependencies.iter().filter(|(other, _)| other.starts_with("loom-")) {
            let other = other.as_str();
            let known = other == package.name || may.contains(&other) || *is_dev && tests_may.contains(&other);
            if !known {
                breaches.push(format!("{} must not know {other}", package.name));
            }
        }
    }
    none(breaches, "arrows between rooms");
}

#[test]
fn arrows_make_no_circle() {
    let may: BTreeMap<&str, &[&str]> = ROOMS.iter().map(|room| (room.0, room.2)).collect();
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while settled.len() < may.len() {
        let before = settled.len();
        settled.extend(
            may.iter()
                .filter(|(_, knows)| knows.iter().all(|other| settled.contains(other)))
                .map(|(name, _)| *name)
                .collect::<Vec<_>>(),
        );
        assert!(settled.len() > before, "the table of rooms has a circle outside of {settled:?}");
    }
}

#[test]
fn core_uses_only_what_is_listed() {
    let packages = packages();
    let core = packages.iter().find(|package| package.name == "loom-core").expect("there is a core");
    let used = core.dependencies.iter().filter(|(_, is_dev)| !is_dev);
    let breaches = used
        .filter(|(name, _)| !CORE_USES.contains(&name.as_str()))
        .map(|(name, _)| format!("core must not use {name}"))
        .collect();
    none(breaches, "what core uses");
}

#[test]
fn crates_are_named_for_what_they_are() {
    let mut breaches = Vec::new();
    for package in packages() {
        let last = package.folder.rsplit('/').next().unwrap_or_default();
        if package.name != format!("loom-{last}") {
            breaches.push(format!("{} lies in {}: a crate is loom-<folder>", package.name, package.folder));
        }
        if package.name.split('-').any(|word| NAMES_BANNED.contains(&word)) {
            breaches.push(format!("{} says nothing about what it is for", package.name));
        }
    }
    none(breaches, "names of crates");
}

#[test]
fn members_take_lints_and_versions_from_the_workspace() {
    let mut breaches = Vec::new();
    for package in packages() {
        let manifest = &package.manifest;
        if !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{} does not take the workspace's lints", package.name));
        }
        let own = manifest.lines().filter(|line| {
            let (key, value) = line.split_once('=').unwrap_or_default();
            let value = value.trim_start();
            let is_version = value.strip_prefix('"').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            (is_version && key.trim() != "name") || line.contains("version = \"")
        });
        breaches.extend(own.map(|line| format!("{} states a version of its own: {line}", package.name)));
        if package.publishes || !package.described {
            breaches.push(format!("{} is to have a description and `publish = false`", package.name));
        }
    }
    none(breaches, "manifests of members");
}

#[test]
fn nothing_of_ours_is_in_the_workspace_by_accident() {
    let members: BTreeSet<String> = packages().into_iter().map(|package| package.name).collect();
    assert!(members.contains("loom-core"), "the workspace has a core");
    assert!(!members.contains("loom-fuzz"), "fuzz targets need nightly and are a workspace of their own");
}
