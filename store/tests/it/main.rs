//! What a caller can see of the stores.

mod backends;
mod crash;
mod platter;
mod transfer;
