//! The head of a table whose rows can be sorted: each column's is a link that sorts by it.

use crate::href::Href;

/// The head of a column that the rows can be sorted by. `part/heads.html` shows them.
#[derive(Debug)]
pub struct Head {
    /// The column's name.
    pub text: &'static str,
    /// The same page, sorted by it.
    pub href: Href,
    /// `ascending` or `descending` where the rows are sorted by it, else nothing.
    pub sorted: &'static str,
    /// Whether numbers stand in it.
    pub is_number: bool,
}
