//! A full disk, for real: the run waits, nothing is lost, and it goes on when there is room.
//!
//! Once by a limit on the size of files, which needs nothing; once by a small file system, which needs user namespaces.

use crate::driven::Driven;
use crate::missing::skip;
use crate::rig::{MORE, Ran};
use loom_store::RedbStore;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FULL: &str = "the disk is full; nothing is lost, and the store goes on when there is room";

#[track_caller]
fn told(ran: &Ran, folder: &Path) {
    assert_eq!(ran.code, 9, "{}", ran.err);
    let wanted = format!(
        "error: nothing can be recorded in {}\n\
         caused by: {FULL}\n\
         hint: make room on that disk and try again; `loom resume` goes on from what is on record\n",
        folder.display()
    );
    assert!(ran.err.ends_with(&wanted), "{}", ran.err);
}

#[test]
fn a_store_that_may_not_grow_waits_and_goes_on_when_it_may() {
    needs!("git", "sh");
    let driven = Driven::new();
    // Too small for a new store: there is none then.
    let demo = format!("demo --keep {}", driven.path("kept").display());
    let ran: Ran = driven.cramped(256 << 10, &demo).output().unwrap().into();
    told(&ran, &driven.store_folder());
    assert!(!driven.has_store());
    fs::remove_dir_all(driven.path("kept")).unwrap();

    let mut driver = driven.demo();
    driver.reads_until("planner works");
    driver.kill();
    // Closed in order, a store is as small as it can be: it may not grow from here.
    drop(RedbStore::open(&driven.store_folder()).unwrap());
    let size = fs::metadata(driven.store_folder().join("store.redb")).unwrap().len();
    let before = driven.log();
    let mut driver = driven.start(driven.cramped(size, "resume"));
    assert_eq!(driver.ends(), Some(9));
    let (lines, error) =
        driver.told.split_at(driver.told.iter().position(|line| line.starts_with("warning: ")).unwrap());
    assert_eq!(error[0], format!("warning: {FULL}; trying again for 10 seconds"));
    assert_eq!(error.last(), Some(&format!("{MORE}LOOM-E041")));
    let err = error[1..error.len() - 1].join("\n") + "\n";
    told(&Ran { code: 9, out: String::new(), err }, &driven.store_folder());
    driven.is_whole();
    let after = driven.log();
    assert!(after.len() > before.len() && after[..before.len()] == before);
    // It told what is on record by then, and nothing else.
    let told_before = driven.told_of(&before);
    driven.told_is_on_record(&[&told_before[..], lines].concat());
    driven.drive_on();
    driven.ended_well();
}

#[test]
fn on_a_full_file_system_the_run_waits_and_goes_on_when_there_is_room() {
    needs!("git", "sh");
    let driven = Driven::new();
    let Some(disk) = Disk::mount(&driven, 4 << 20) else { return };
    let demo = format!("demo --keep {}", disk.seen.join("kept").display());
    let place = disk.path("kept/notes");

    // No room at all.
    disk.fill();
    let ran: Ran = disk.command(&demo).output().unwrap().into();
    assert_eq!(ran.code, 9, "{}", ran.err);
    let folder = disk.seen.join("kept");
    assert!(ran.err.starts_with("error: cannot ") && ran.err.contains(folder.to_str().unwrap()), "{}", ran.err);
    let told = "\ncaused by: No space left on device (os error 28)\nhint: make room on that disk and try again\n";
    assert!(ran.err.ends_with(told), "{}", ran.err);
    disk.empty();

    // The room goes while the run is under way, and comes back while it waits.
    let mut driver = driven.start(disk.command(&demo));
    driver.reads_until("planner works");
    disk.fill();
    driver.reads_until(&format!("warning: {FULL}; trying again for 10 seconds"));
    disk.make_room();
    assert_eq!(driver.ends(), Some(0), "{:#?}", driver.told);
    let verify = format!("verify --blobs --redrive --dir {}", disk.seen.join("kept/notes").display());
    let ran: Ran = disk.command(&verify).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(!fs::exists(place.join(".loom/holder")).unwrap());
    disk.empty();

    // A backup has no room either, and leaves nothing.
    let mut driver = driven.start(disk.command(&demo));
    assert_eq!(driver.ends(), Some(0));
    disk.fill();
    let backup = disk.seen.join("all.backup");
    let backup = format!("backup {} --dir {}", backup.display(), disk.seen.join("kept/notes").display());
    let ran: Ran = disk.command(&backup).output().unwrap().into();
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(ran.err.starts_with("error: ") && ran.err.contains("all.backup cannot be written\n"), "{}", ran.err);
    assert!(ran.err.ends_with("hint: make room on that disk and try again\n"), "{}", ran.err);
    assert!(!fs::exists(disk.path("all.backup")).unwrap());
    disk.empty();

    // It does not come back in time.
    let mut driver = driven.start(disk.command(&demo));
    driver.reads_until("planner works");
    disk.fill();
    assert_eq!(driver.ends(), Some(9), "{:#?}", driver.told);
    disk.make_room();
    let resume = format!("resume --dir {}", disk.seen.join("kept/notes").display());
    let ran: Ran = disk.command(&resume).output().unwrap().into();
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let ran: Ran = disk.command(&verify).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}

/// A small file system in name spaces of its own, kept by a process that waits for its input to end.
struct Disk<'d> {
    driven: &'d Driven,
    keeper: Child,
    /// Its folder as seen by who lives there.
    seen: PathBuf,
}

impl<'d> Disk<'d> {
    /// Mounts one, or says why that cannot be.
    fn mount(driven: &'d Driven, bytes: u64) -> Option<Self> {
        let seen = driven.path("disk");
        fs::create_dir(&seen).unwrap();
        let script = "mount -t tmpfs -o size=$1 none \"$2\" && echo mounted && read line";
        let keeper = Command::new("unshare")
            .args(["-rm", "sh", "-c", script, "sh", &bytes.to_string()])
            .arg(&seen)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut said = String::new();
        let mounted = keeper.and_then(|mut keeper| {
            BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said)?;
            Ok(keeper)
        });
        let usable = |keeper: &Child| {
            let id = keeper.id().to_string();
            let mut enter = Command::new("nsenter");
            enter.args(["--preserve-credentials", "--user", "--mount", "--target", &id, "true"]);
            enter.status().is_ok_and(|status| status.success())
        };
        match mounted {
            Ok(keeper) if said == "mounted\n" && usable(&keeper) => Some(Disk { driven, keeper, seen }),
            mounted => {
                if let Ok(mut keeper) = mounted {
                    keeper.kill().unwrap();
                    keeper.wait().unwrap();
                }
                skip("a mount in a user namespace", "install util-linux and permit `unshare -rm`");
                None
            }
        }
    }

    /// Returns the path of something on it as seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.seen.strip_prefix("/").unwrap()).join(name)
    }

    /// Returns the binary as a command that lives there.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("nsenter");
        self.driven.prepare(&mut command);
        let id = self.keeper.id().to_string();
        command.args(["--preserve-credentials", "--user", "--mount", "--target", &id, env!("CARGO_BIN_EXE_loom")]);
        command.args(arguments.split_whitespace());
        command
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut filler = File::create(self.path("filler")).unwrap();
        for bytes in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }

    fn empty(&self) {
        for entry in fs::read_dir(self.path("")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().unwrap();
    }
}
