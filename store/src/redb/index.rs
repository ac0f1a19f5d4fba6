//! The index: written in batches from the tail, in transactions of its own.

use super::RedbStore;
use super::append::Writer;
use super::database::{Db, fault};
use super::table::{
    self, GATES, HEADS, HeadRow, IDS, INDEX, INDEX_VERSION, KINDS, LIST_MAX, PLACES, REQUESTS, RUNS, SNAPSHOTS, STREAMS,
};
use crate::error::StoreError;
use crate::lookup::Snapshot;
use crate::tail::Tail;
use loom_core::id::StreamId;
use redb::{ReadableTable, WriteTransaction};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl RedbStore {
    /// Writes the tail into the index and begins a new one.
    pub(super) fn index_tail(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let snapshots = std::mem::take(&mut *self.snapshots.lock().unwrap_or_else(PoisonError::into_inner));
        let tail = self.tail();
        if tail.events() == 0 && snapshots.is_empty() {
            return Ok(());
        }
        let written = self.with_db(|db| write_batch(db, &tail, &snapshots));
        let size = tail.size;
        drop(tail);
        if let Err(error) = written {
            writer.healthy = false;
            return Err(error);
        }
        self.durable_commits.fetch_add(1, Ordering::Relaxed);
        *self.tail.write().unwrap_or_else(PoisonError::into_inner) = Tail::at(size);
        Ok(())
    }
}

/// Writes one batch durably.
pub(super) fn write_batch(db: &Db, tail: &Tail, snapshots: &BTreeMap<StreamId, Snapshot>) -> Result<(), StoreError> {
    let transaction = db.begin_write()?;
    write(&transaction, tail)?;
    let mut table = transaction.open_table(SNAPSHOTS).map_err(fault)?;
    for (stream, snapshot) in snapshots {
        table.insert(&stream.0, table::encode_snapshot(snapshot).as_slice()).map_err(fault)?;
    }
    drop(table);
    transaction.commit().map_err(fault)
}

/// Drops whatever index there is and begins an empty one.
pub(super) fn reset(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.delete_table(INDEX).map_err(fault)?;
    transaction.delete_table(HEADS).map_err(fault)?;
    transaction.delete_table(STREAMS).map_err(fault)?;
    transaction.delete_table(IDS).map_err(fault)?;
    transaction.delete_table(KINDS).map_err(fault)?;
    transaction.delete_table(REQUESTS).map_err(fault)?;
    transaction.delete_table(RUNS).map_err(fault)?;
    transaction.delete_table(GATES).map_err(fault)?;
    transaction.delete_table(PLACES).map_err(fault)?;
    transaction.delete_table(SNAPSHOTS).map_err(fault)?;
    transaction.open_table(SNAPSHOTS).map_err(fault)?;
    write(transaction, &Tail::default())
}

/// Writes what the tail says; every table exists afterwards.
fn write(transaction: &WriteTransaction, tail: &Tail) -> Result<(), StoreError> {
    write_streams(transaction, tail)?;
    write_runs(transaction, tail)?;

    let mut ids = transaction.open_table(IDS).map_err(fault)?;
    for (head, row) in table::id_rows(tail.from, &tail.ids) {
        ids.insert((tail.from, head), row.as_slice()).map_err(fault)?;
    }
    let mut kinds = transaction.open_table(KINDS).map_err(fault)?;
    for (kind, positions) in &tail.kinds {
        for list in positions.chunks(LIST_MAX) {
            kinds.insert((*kind, list[0]), table::encode_positions(list).as_slice()).map_err(fault)?;
        }
    }
    let mut requests = transaction.open_table(REQUESTS).map_err(fault)?;
    for ((stream, request), span) in &tail.requests {
        let key = table::request_key(*stream, request);
        if requests.get(key.as_slice()).map_err(fault)?.is_none() {
            requests.insert(key.as_slice(), (span.position, span.sequence)).map_err(fault)?;
        }
    }
    let mut places = transaction.open_table(PLACES).map_err(fault)?;
    for (digest, slot) in &tail.blobs {
        places.insert(&digest.0, (slot.position, slot.slot)).map_err(fault)?;
    }
    let mut index = transaction.open_table(INDEX).map_err(fault)?;
    for (name, more) in [("commits", tail.commits), ("encoded bytes", tail.encoded_bytes)] {
        let total = index.get(name).map_err(fault)?.map_or(0, |row| row.value());
        index.insert(name, total + more).map_err(fault)?;
    }
    index.insert("upto", tail.size).map_err(fault)?;
    index.insert("version", INDEX_VERSION).map_err(fault)?;
    Ok(())
}

fn write_streams(transaction: &WriteTransaction, tail: &Tail) -> Result<(), StoreError> {
    let mut heads = transaction.open_table(HEADS).map_err(fault)?;
    let mut streams = transaction.open_table(STREAMS).map_err(fault)?;
    for (stream, recent) in &tail.streams {
        let before = heads.get(&stream.0).map_err(fault)?.map(|row| HeadRow::decode(row.value()));
        let mut row = HeadRow::of(recent);
        row.closed = row.closed.or(before.and_then(|before| before.closed));
        heads.insert(&stream.0, &row.encode()).map_err(fault)?;
        for list in recent.spans.chunks(LIST_MAX) {
            streams.insert((&stream.0, list[0].sequence), table::encode_spans(list).as_slice()).map_err(fault)?;
        }
    }
    Ok(())
}

fn write_runs(transaction: &WriteTransaction, tail: &Tail) -> Result<(), StoreError> {
    let mut runs = transaction.open_table(RUNS).map_err(fault)?;
    for run in &tail.runs {
        runs.insert(run.position, table::encode_run(run).as_slice()).map_err(fault)?;
    }
    let mut gates = transaction.open_table(GATES).map_err(fault)?;
    for ((stream, sequence), gate) in &tail.gates {
        gates.insert((&stream.0, *sequence), table::encode_gate(gate).as_slice()).map_err(fault)?;
    }
    for (stream, sequence) in &tail.ended {
        gates.remove((&stream.0, *sequence)).map_err(fault)?;
    }
    for (stream, _) in tail.streams.iter().filter(|(_, recent)| recent.closed.is_some()) {
        gates.retain_in((&stream.0, 0)..=(&stream.0, u64::MAX), |_, _| false).map_err(fault)?;
    }
    Ok(())
}
