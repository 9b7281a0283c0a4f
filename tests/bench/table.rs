//! The table: one line a figure, in the order in which they were measured.

use std::fmt;
use std::time::Duration;

/// What is printed at the end.
#[derive(Default)]
pub struct Table {
    lines: Vec<[String; 4]>,
}

impl Table {
    /// `remark` says what the figure stands beside: a floor, a size, a count.
    pub fn add(&mut self, what: &str, figure: &str, remark: &str) {
        self.add_bound(what, figure, "", remark);
    }

    /// The same for a figure that has a bound: what must hold, and what is aimed at.
    pub fn add_bound(&mut self, what: &str, figure: &str, bound: &str, remark: &str) {
        println!("{what}: {figure} ({bound}) {remark}");
        self.lines.push([what, figure, bound, remark].map(str::to_owned));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["", "figure", "must / aim", ""].map(str::to_owned);
        let lines: Vec<&[String; 4]> = [&heading].into_iter().chain(&self.lines).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let (what, figure, bound) = (width(0), width(1), width(2));
        writeln!(f)?;
        for line in &lines {
            writeln!(f, "| {:what$} | {:>figure$} | {:>bound$} | {} |", line[0], line[1], line[2], line[3])?;
        }
        Ok(())
    }
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The median and the 99th of a hundred, in milliseconds.
pub fn percentiles(times: &[Duration]) -> String {
    format!("{:.2} / {:.2}", percentile_ms(times, 50), percentile_ms(times, 99))
}

/// One percentile, in milliseconds.
pub fn percentile_ms(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0
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
