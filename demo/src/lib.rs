//! A small event-driven shop, and the embedded broker it runs on.
