//! What shows the store: pages, JSON API, live, access.
