//! Receipts and checkpoints made from made stores, then altered: by bytes, by parts, by somebody with a key.

mod checkpoints;
mod forge;
mod mutations;
mod receipts;
