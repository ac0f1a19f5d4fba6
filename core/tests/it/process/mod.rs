//! What a run does, told as scripts: one line an input, and below it the events that followed.
//!
//! The language of processes and scripts is in `text.rs` and `script.rs`.

mod budget;
mod commit;
mod declined;
mod effect;
mod finding;
mod gate;
mod late;
mod loops;
mod people;
mod recovery;
mod refusal;
mod script;
mod text;
