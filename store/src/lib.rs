//! Remembers: the Store trait and its redb and memory backends.
