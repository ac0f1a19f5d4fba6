//! Knows a trade: loads and checks bundles, which are data.
