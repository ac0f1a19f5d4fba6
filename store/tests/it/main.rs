//! What a caller can see of the stores.

mod backends;
mod transfer;
