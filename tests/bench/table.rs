//! The table: one line a figure, in the order in which they were measured.

use std::fmt;

/// What is printed at the end.
#[derive(Default)]
pub struct Table {
    lines: Vec<[String; 3]>,
}

impl Table {
    /// `remark` says what the figure stands beside: a floor, a size, a count.
    pub fn add(&mut self, what: &str, figure: String, remark: String) {
        println!("{what}: {figure} ({remark})");
        self.lines.push([what.to_owned(), figure, remark]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let (what, figure) = (width(0), width(1));
        writeln!(f)?;
        for line in &self.lines {
            writeln!(f, "| {:what$} | {:>figure$} | {} |", line[0], line[1], line[2])?;
        }
        Ok(())
    }
}

/// 1234567 as 1,234,567.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
