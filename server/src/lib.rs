//! Listens: the holder's socket, and the client that stands in for the store behind it.
//!
//! One process holds a store. It answers everybody else over a Unix socket ([`Holder`]): HTTP/1.1, mode 0600, the
//! same user only, and nobody who descends from a spawn. The other side is [`RemoteStore`], a store like any other
//! to those who read.
//!
//! What goes over the wire has types of its own (`wire`); core's never do, so that neither binds the other. It has no
//! way into the engine but the messages that everybody sends.

mod client;
mod follow;
mod holder;
mod peer;
mod routes;
mod wire;

pub use client::{AskError, RemoteStore, Told};
pub use holder::{Holder, ServerError, socket_of};
