//! Brokers: one file each.
