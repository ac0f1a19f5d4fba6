//! The host from outside: the engine over a store in memory, and whole projects with real git and a scripted model.

mod engine;
mod recovery;
mod request;
mod rig;
