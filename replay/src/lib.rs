//! Proves: verifies, refolds and exports recorded runs.
