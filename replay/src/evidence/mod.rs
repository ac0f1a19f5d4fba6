//! Evidence: what a store signs, and proofs that need neither the store nor trust in who wrote them (specs/receipts.md).
//!
//! ```text
//! store ─► checkpoint: signed size and root ─► witness: a place outside that keeps it
//!   └────► receipt: events, their place in the tree, the checkpoint, a signed statement ─► verify, alone
//! ```
//!
//! Nothing here holds a private key: who signs is handed in as a function of bytes.

mod check;
mod checkpoint;
mod cover;
mod error;
mod history;
mod judging;
mod level;
mod note;
mod prove;
mod receipt;
mod statement;
mod witness;

pub use check::{Checked, Pins, verify};
pub use checkpoint::{Checkpoint, sign_checkpoint};
pub use error::EvidenceError;
pub use history::{History, KeyOnRecord};
pub use judging::{Finding, Judged};
pub use level::Level;
pub(crate) use level::answer_flaw;
pub use note::{PublicKey, Sign, Verifier};
pub use prove::{Subject, prove, subject_of};
pub use receipt::{About, BYTES_MAX, MAGIC, Receipt};
pub use witness::{Witnessed, read_all};
