//! Turns the crank: drive loop, executor, clock, recovery.
