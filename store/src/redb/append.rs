//! Appending: what waits goes into one durable transaction.
//!
//! Callers leave a ticket and take the writer's lock in turn. Whoever gets it serves every ticket that waits, so
//! the others find theirs answered. One transaction writes behind the last key of the log's tables and nothing else
//! (STORE-4).

use super::database::fault;
use super::read::Reader;
use super::table::{self, BLOBS, COMMITS, Kept, TREE};
use super::{INLINE_MAX, RedbStore, TAIL_MAX};
use crate::append::{Append, Appended};
use crate::error::{AppendError, StoreError};
use loom_core::commit::Head;
use loom_core::id::{Digest, StreamId};
use loom_core::tree::{self, Frontier};
use redb::WriteTransaction;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Events that one transaction takes before the rest waits for the next.
const GROUP_MAX: u64 = 4096;

type Answers = Vec<Result<Appended, AppendError>>;

/// What only the writer knows.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) frontier: Frontier,
    /// False after a failed write, until the database is open again and nothing unacknowledged is in it.
    pub(super) healthy: bool,
}

/// A call of `append` that waits for its answers.
pub(super) struct Ticket {
    commits: Vec<Append>,
    answers: Mutex<Option<Answers>>,
}

impl Ticket {
    fn events(&self) -> u64 {
        self.commits.iter().map(|commit| commit.facts.count()).sum()
    }

    fn take(&self) -> Option<Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A commit that is accepted, with its place and those of its blobs that are new.
struct Placed<'c> {
    commit: &'c Append,
    position: u64,
    blobs: Vec<(u16, Kept)>,
}

impl RedbStore {
    pub(super) fn append_group(&self, commits: Vec<Append>) -> Answers {
        let ticket = Arc::new(Ticket { commits, answers: Mutex::default() });
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(ticket.clone());
        let mut writer = self.lock_writer();
        loop {
            if let Some(answers) = ticket.take() {
                return answers;
            }
            self.serve(&mut writer);
        }
    }

    /// Serves the tickets that wait, as many as fit in one transaction and at least one.
    fn serve(&self, writer: &mut Writer) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut group, mut events) = (Vec::new(), 0);
        while let Some(ticket) = queue.pop_front_if(|ticket| group.is_empty() || events + ticket.events() <= GROUP_MAX)
        {
            events += ticket.events();
            group.push(ticket);
        }
        drop(queue);
        let commits: Vec<&Append> = group.iter().flat_map(|ticket| &ticket.commits).collect();
        let mut answers = match self.store(writer, &commits) {
            Ok(answers) => answers,
            Err(error) => commits.iter().map(|_| Err(error.clone().into())).collect(),
        }
        .into_iter();
        for ticket in &group {
            let own = answers.by_ref().take(ticket.commits.len()).collect();
            *ticket.answers.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        }
    }

    fn store(&self, writer: &mut Writer, commits: &[&Append]) -> Result<Answers, StoreError> {
        if let Some(damage) = &self.damage {
            return Err(damage.clone().into());
        }
        self.mend(writer)?;
        if self.tail().events() >= TAIL_MAX {
            self.index_tail(writer)?;
        }
        let redacted = self.redacted.read().unwrap_or_else(PoisonError::into_inner);
        let (placed, answers) = self.reading_as_writer(writer, |reader| plan(reader, commits, &redacted))?;
        drop(redacted);
        if placed.is_empty() {
            return Ok(answers);
        }
        self.write_files(&placed)?;
        let frontier = self.write(&placed, &writer.frontier).inspect_err(|_| writer.healthy = false)?;
        self.durable_commits.fetch_add(1, Ordering::Relaxed);
        writer.frontier = frontier;
        let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
        for placed in &placed {
            let new = placed.blobs.iter().map(|(slot, _)| (*slot, &placed.commit.blobs[usize::from(*slot)].digest));
            tail.push_blobs(placed.position, new);
            tail.push(&placed.commit.facts);
        }
        let size = tail.size;
        drop(tail);
        self.tip.raise(size);
        Ok(answers)
    }

    /// As `reading`, for who holds the writer's lock.
    fn reading_as_writer<T>(
        &self,
        writer: &mut Writer,
        mut work: impl FnMut(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.reading_once(&mut work) {
            Err(StoreError::Broken) => {
                writer.healthy = false;
                self.mend(writer)?;
                self.reading_once(&mut work)
            }
            answer => answer,
        }
    }

    fn write_files(&self, placed: &[Placed<'_>]) -> Result<(), StoreError> {
        let large = placed.iter().flat_map(|placed| {
            let files = placed.blobs.iter().filter(|(_, kept)| *kept == Kept::File);
            files.map(|(slot, _)| &placed.commit.blobs[usize::from(*slot)])
        });
        self.keep_files(&large.collect::<Vec<_>>())
    }

    fn write(&self, placed: &[Placed<'_>], frontier: &Frontier) -> Result<Frontier, StoreError> {
        let mut frontier = frontier.clone();
        self.with_db(|db| {
            let transaction = db.begin_write()?;
            write_log(&transaction, placed, &mut frontier)?;
            transaction.commit().map_err(fault)
        })?;
        Ok(frontier)
    }
}

/// Decides which commits stand, where they go and which of their blobs the store does not have yet.
fn plan<'c>(
    reader: &Reader<'_>,
    commits: &[&'c Append],
    redacted: &BTreeSet<Digest>,
) -> Result<(Vec<Placed<'c>>, Answers), StoreError> {
    let mut heads: BTreeMap<StreamId, Head> = BTreeMap::new();
    let mut fresh: BTreeSet<Digest> = BTreeSet::new();
    let (mut placed, mut answers, mut position) = (Vec::new(), Vec::new(), reader.tail.size);
    for commit in commits {
        let (stream, expected) = (commit.stream(), commit.expected());
        let found = match heads.get(&stream) {
            Some(head) => *head,
            None => reader.head(stream)?,
        };
        if found != expected {
            answers.push(Err(AppendError::HeadMoved { stream, expected, found }));
            continue;
        }
        let mut blobs = Vec::new();
        for (slot, blob) in commit.blobs.iter().enumerate() {
            let is_new = !redacted.contains(&blob.digest) && reader.place(&blob.digest)?.is_none();
            if is_new && fresh.insert(blob.digest) {
                blobs.push((slot as u16, if blob.bytes.len() > INLINE_MAX { Kept::File } else { Kept::Inline }));
            }
        }
        heads.insert(stream, commit.facts.head());
        answers.push(Ok(Appended { position, head: commit.facts.head() }));
        placed.push(Placed { commit, position, blobs });
        position += commit.facts.count();
    }
    Ok((placed, answers))
}

fn write_log(transaction: &WriteTransaction, placed: &[Placed<'_>], frontier: &mut Frontier) -> Result<(), StoreError> {
    let mut commits = transaction.open_table(COMMITS).map_err(fault)?;
    for placed in placed {
        commits.insert(placed.position, placed.commit.row.as_slice()).map_err(fault)?;
    }
    if placed.iter().any(|placed| !placed.blobs.is_empty()) {
        let mut blobs = transaction.open_table(BLOBS).map_err(fault)?;
        for (placed, (slot, kept)) in
            placed.iter().flat_map(|placed| placed.blobs.iter().map(move |blob| (placed, blob)))
        {
            let blob = &placed.commit.blobs[usize::from(*slot)];
            for (part, bytes) in table::blob_parts(*kept, &blob.digest, &blob.bytes).iter().enumerate() {
                blobs.insert((placed.position, *slot, part as u16), bytes.as_slice()).map_err(fault)?;
            }
        }
    }
    let mut nodes = Vec::new();
    for id in placed.iter().flat_map(|placed| &placed.commit.facts.ids) {
        for (height, hash) in frontier.push_subtree(0, tree::leaf(id)) {
            if height > 0 && height % 8 == 0 {
                nodes.push((frontier.size(), height / 8, hash));
            }
        }
    }
    if !nodes.is_empty() {
        let mut tree = transaction.open_table(TREE).map_err(fault)?;
        for (end, level, hash) in &nodes {
            tree.insert((*end, *level), hash).map_err(fault)?;
        }
    }
    Ok(())
}
