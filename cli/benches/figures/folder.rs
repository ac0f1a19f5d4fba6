//! What it takes to find one edit among many files: by content, as after each spawn that may edit and so before each
//! gate; and by times, as after each that may not.

use crate::process::median;
use crate::spawn::fill;
use loom_tools::{By, Git, Limits, Project, Workspace};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a file must have been still to be known by its times.
const STILL: Duration = Duration::from_millis(2_500);

/// Median times, in milliseconds.
pub(crate) struct Delta {
    /// Of a snapshot and its delta after one edit, every file read.
    pub(crate) by_content_ms: f64,
    /// Likewise, files that were still known by their times.
    pub(crate) by_times_ms: f64,
    /// Of the reset before a spawn.
    pub(crate) reset_ms: f64,
}

/// Measures so many times in a workspace of so many files.
pub(crate) fn delta(folder: &Path, files: usize, times: usize) -> Delta {
    let project = folder.join("project");
    fill(&project, files);
    let scratch = folder.join("scratch");
    fs::create_dir_all(&scratch).expect("a folder");
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let git = Git::find(&search_path, &scratch).expect("git");
    let project = Project::open(&git, &project).expect("the project");
    let workspace = Workspace::create(&folder.join("workspace"), &project, project.head().commit).expect("a workspace");
    let base = workspace.base_tree();
    let edited = workspace.work().join("file-7.txt");
    // Nothing else is measured meanwhile.
    thread::sleep(STILL);
    let (mut by_content, mut by_times, mut resets) = (Vec::new(), Vec::new(), Vec::new());
    for time in 0..=times {
        for (by, figures) in [(By::Content, &mut by_content), (By::Times, &mut by_times)] {
            fs::write(&edited, format!("edited {time} {by:?}\n")).expect("an edit");
            let began = Instant::now();
            let snapshot = workspace.snapshot(base, &Limits::default(), by).expect("a tree");
            figures.push(began.elapsed().as_secs_f64() * 1e3);
            assert_eq!(snapshot.changes.len(), 1);
        }
    }
    for time in 0..=times {
        fs::write(&edited, format!("edited {time}\n")).expect("an edit");
        let began = Instant::now();
        workspace.reset_to(base).expect("reset");
        resets.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let of = |mut figures: Vec<f64>| median(figures.split_off(1));
    Delta { by_content_ms: of(by_content), by_times_ms: of(by_times), reset_ms: of(resets) }
}
