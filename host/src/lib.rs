//! Turns the crank: one drive loop around core's step, the executor, clock and chance, recovery.
//!
//! It promises: persist, then tell, then act; nothing acknowledged is lost; no spawn whose outcome is recorded runs
//! again. It never decides what a run does next (core does) and has no second loop.

pub mod armed;
mod atomic;
pub mod bounds;
pub mod caches;
pub mod drive;
pub mod driver;
pub mod engine;
pub mod environment;
pub mod error;
mod kept;
pub mod keys;
mod leftover;
pub mod live;
mod loader;
pub mod local;
pub mod order;
mod orders;
pub mod projects;
pub mod redact;
pub mod redactions;
pub mod renewed;
pub mod request;
pub mod reset;
pub mod secrets;
pub mod session;
pub mod settings;
mod toolchains;
pub mod trees;
pub mod trial;
pub mod world;

pub use drive::drive;
pub use engine::Engine;
pub use error::HostError;
pub use session::Session;
