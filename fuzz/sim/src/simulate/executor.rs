//! An executor that does nothing and reports anything: in time, late, twice, after it was stopped, or never.
//!
//! Outcomes wait in a queue until the simulation delivers them; a crash takes most of them. Every start is written
//! down for the witness.

use super::chance::Chance;
use super::clock::Clock;
use super::outcome::{Manner, Told, report, stopped};
use super::point::crash;
use super::store::TroubledStore;
use loom_core::id::StreamId;
use loom_core::process::Bundle;
use loom_host::order::{Executor, Message, Order, Outbox, Work};
use loom_store::Store;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long after an order's limit the kernel gives it up, in milliseconds; a late outcome comes after that.
const GRACE_MS: u64 = 60_000;

/// A start, as the witness needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub(crate) stream: StreamId,
    pub(crate) id: u64,
    /// The life of the process that it was started in.
    pub(crate) life: u64,
    /// Events in the store when it was started.
    pub(crate) size: u64,
    /// Whether it is a spawn: never to be started twice.
    pub(crate) is_spawn: bool,
}

/// An outcome that is on its way.
#[derive(Debug)]
struct Delivery {
    due_ms: u64,
    stream: StreamId,
    id: u64,
    told: Box<Told>,
}

/// A spawn whose outcome comes too late or never.
const HANGS: &str = "hangs";

pub(crate) struct TroubledExecutor {
    clock: Clock,
    store: Arc<TroubledStore>,
    bundle: Bundle,
    inner: Mutex<Inner>,
}

struct Inner {
    chance: Chance,
    calm: bool,
    life: u64,
    queue: Vec<Delivery>,
    orders: BTreeMap<(StreamId, u64), Order>,
    started: Vec<Started>,
    counts: Counts,
}

/// How often each trouble struck.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) orders: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) twice: u64,
    pub(crate) troubles: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn hangs(&mut self, is_spawn: bool) {
        if is_spawn {
            *self.troubles.entry(HANGS).or_default() += 1;
        }
    }
}

impl TroubledExecutor {
    pub(crate) fn new(clock: Clock, store: Arc<TroubledStore>, bundle: Bundle, chance: Chance) -> Self {
        let inner = Inner {
            chance,
            calm: false,
            life: 0,
            queue: Vec::new(),
            orders: BTreeMap::new(),
            started: Vec::new(),
            counts: Counts::default(),
        };
        TroubledExecutor { clock, store, bundle, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on every order ends well and in time.
    pub(crate) fn calm(&self) {
        self.lock().calm = true;
    }

    /// The process died: what was on its way is lost, but for what outlived it.
    pub(crate) fn die(&self) {
        let mut inner = self.lock();
        inner.life += 1;
        let Inner { chance, queue, .. } = &mut *inner;
        queue.retain(|_| chance.happens(250));
    }

    /// Returns the starts since the last call.
    pub(crate) fn take_started(&self) -> Vec<Started> {
        std::mem::take(&mut self.lock().started)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Returns when the next outcome is due.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.lock().queue.iter().map(|delivery| delivery.due_ms).min()
    }

    /// Takes what is due, in an order of chance; most of it, unless all is calm.
    pub(crate) fn deliver(&self) -> Vec<Message> {
        let now_ms = self.clock.now_ms();
        let mut inner = self.lock();
        let Inner { chance, calm, queue, counts, .. } = &mut *inner;
        let mut due: Vec<Delivery> = Vec::new();
        let mut at = 0;
        while at < queue.len() {
            if queue[at].due_ms <= now_ms && (*calm || chance.happens(900)) {
                let place = chance.below(due.len() as u64 + 1) as usize;
                due.insert(place, queue.swap_remove(at));
            } else {
                at += 1;
            }
        }
        let finished = due.into_iter().map(|Delivery { stream, id, told, .. }| {
            if let Some(trouble) = told.trouble {
                *counts.troubles.entry(trouble).or_default() += 1;
            }
            Message::Finished { stream, id, report: Box::new(told.report) }
        });
        finished.collect()
    }
}

impl Executor for TroubledExecutor {
    fn start(&self, order: Order, _: Outbox) {
        let now_ms = self.clock.now_ms();
        let size = self.store.size();
        let points = &self.store.points;
        points.pass("before an order");
        let mut inner = self.lock();
        let dies = points.by_chance() && !inner.calm && inner.chance.happens(8);
        if dies && inner.chance.happens(500) {
            drop(inner);
            crash("before an order");
        }
        let is_spawn = matches!(order.work, Work::Spawn(_));
        let (stream, id, life) = (order.stream, order.id, inner.life);
        inner.started.push(Started { stream, id, life, size, is_spawn });
        inner.counts.orders += 1;
        let Inner { chance, calm, queue, counts, .. } = &mut *inner;
        let manner = if *calm { Manner::Good } else { Manner::Any };
        let mut send = |due_ms, told| queue.push(Delivery { due_ms, stream, id, told: Box::new(told) });
        let soon_ms = now_ms + 1 + chance.below(20_000);
        if *calm {
            send(soon_ms, report(&order, &self.bundle, manner, now_ms, chance));
        } else if chance.happens(50) {
            counts.lost += 1;
            counts.hangs(is_spawn);
        } else if chance.happens(60) {
            counts.late += 1;
            counts.hangs(is_spawn);
            let late_ms = now_ms.saturating_add(order.time_ms).saturating_add(GRACE_MS + chance.below(100_000));
            send(late_ms, report(&order, &self.bundle, manner, now_ms, chance));
        } else {
            let first = report(&order, &self.bundle, manner, now_ms, chance);
            if chance.happens(100) {
                counts.twice += 1;
                let again = if chance.happens(500) {
                    first.clone()
                } else {
                    report(&order, &self.bundle, manner, now_ms, chance)
                };
                send(soon_ms + chance.below(40_000), again);
            }
            send(soon_ms, first);
        }
        inner.orders.insert((stream, id), order);
        drop(inner);
        if dies {
            crash("after an order");
        }
        points.pass("after an order");
    }

    fn stop(&self, stream: StreamId, id: u64) {
        self.store.points.pass("before a stop");
        let mut inner = self.lock();
        let Some(order) = inner.orders.get(&(stream, id)).cloned() else { return };
        // It ends at once, or it does not hear and reports as if nothing had happened.
        if inner.calm || inner.chance.happens(600) {
            inner.queue.retain(|delivery| (delivery.stream, delivery.id) != (stream, id));
            let due_ms = self.clock.now_ms() + 5;
            let told = Told { report: stopped(&order), trouble: None };
            inner.queue.push(Delivery { due_ms, stream, id, told: Box::new(told) });
        }
        drop(inner);
        self.store.points.pass("after a stop");
    }

    fn forget(&self, stream: StreamId) {
        self.store.points.pass("before a run is forgotten");
        let mut inner = self.lock();
        inner.orders.retain(|(other, _), _| *other != stream);
        let Inner { chance, queue, .. } = &mut *inner;
        queue.retain(|delivery| delivery.stream != stream || chance.happens(500));
        drop(inner);
        self.store.points.pass("after a run is forgotten");
    }
}
