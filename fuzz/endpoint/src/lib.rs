//! Invents trouble for agent harnesses: a model endpoint on 127.0.0.1 that plays a script.
//!
//! It promises that equal requests get equal answers (only tries of one turn are counted), that a request which the
//! real service would refuse is refused and told, and that each request is kept. While a request is answered it looks whether
//! a process shows the credential. Threads, not coroutines: a fault is a
//! thing done to one connection. It knows nothing of Loom, never reaches out, and must never ship.

mod chat;
mod endpoint;
mod events;
mod http;
mod leak;
mod messages;
mod protocol;
mod responses;
mod script;

pub use endpoint::{Asked, Endpoint};
pub use leak::{Hidden, InNoFile};
pub use script::{Answer, Block, Reply, Script};
