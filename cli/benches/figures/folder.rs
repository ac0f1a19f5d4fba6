//! What it takes to find one edit among many files, by content, as is done after each spawn and at each gate.

use crate::process::median;
use crate::spawn::fill;
use loom_tools::{Git, Limits, Project, Workspace};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Returns the median time of a snapshot and its delta after one edit, and of the reset before a spawn, in milliseconds.
pub(crate) fn delta(folder: &Path, files: usize, times: usize) -> (f64, f64) {
    let project = folder.join("project");
    fill(&project, files);
    let scratch = folder.join("scratch");
    fs::create_dir_all(&scratch).expect("a folder");
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let git = Git::find(&search_path, &scratch).expect("git");
    let project = Project::open(&git, &project).expect("the project");
    let workspace = Workspace::create(&folder.join("workspace"), &project, project.head_commit()).expect("a workspace");
    let base = workspace.base_tree();
    let (mut deltas, mut resets) = (Vec::new(), Vec::new());
    for time in 0..=times {
        fs::write(workspace.work().join("file-7.txt"), format!("edited {time}\n")).expect("an edit");
        let began = Instant::now();
        let snapshot = workspace.snapshot(base, &Limits::default()).expect("a tree");
        let changes = workspace.delta(base, snapshot.tree).expect("a delta");
        deltas.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(changes.len(), 1);
        let began = Instant::now();
        workspace.reset_to(base).expect("reset");
        resets.push(began.elapsed().as_secs_f64() * 1e3);
    }
    (median(deltas.split_off(1)), median(resets.split_off(1)))
}
