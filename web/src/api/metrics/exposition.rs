//! Metrics as text, in one of two formats that differ in little.

use std::fmt::Write as _;

use store::histogram::Histogram;

/// How metrics are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// OpenMetrics 1.0: what is answered unless something else is asked for.
    OpenMetrics,
    /// Prometheus's own older text, which `promtool check metrics` and browsers read.
    Text,
}

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Says something in its labels; its samples end in `_info`.
    Info,
    /// How often something took how long.
    Histogram,
}

/// Metrics as text.
pub struct Exposition {
    format: Format,
    text: String,
}

/// The units that a name may end in; both are base units.
const UNITS: [&str; 2] = ["seconds", "bytes"];

impl Format {
    /// What an `Accept` header asks for: the older text only where it prefers it.
    pub fn accepted(accept: &str) -> Format {
        let (mut open_metrics, mut text) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            match media {
                "application/openmetrics-text" | "application/*" | "*/*" => open_metrics = open_metrics.max(quality),
                _ if media.starts_with("text/") => text = text.max(quality),
                _ => {}
            }
        }
        if text > open_metrics { Format::Text } else { Format::OpenMetrics }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Exposition {
    /// Nothing yet.
    pub fn new(format: Format) -> Exposition {
        Exposition { format, text: String::new() }
    }

    /// Begins a family; its samples follow. `name` is without `_total` and `_info`.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (kind_name, suffix) = match (self.format, kind) {
            (_, Kind::Gauge) => ("gauge", ""),
            (_, Kind::Histogram) => ("histogram", ""),
            (Format::OpenMetrics, Kind::Counter) => ("counter", ""),
            (Format::OpenMetrics, Kind::Info) => ("info", ""),
            // The older text names the family as its samples are named, and knows no info.
            (Format::Text, Kind::Counter) => ("counter", "_total"),
            (Format::Text, Kind::Info) => ("gauge", "_info"),
        };
        let _ = writeln!(self.text, "# TYPE {name}{suffix} {kind_name}");
        let unit = name.rsplit('_').next().filter(|unit| UNITS.contains(unit));
        if let Some(unit) = unit.filter(|_| self.format == Format::OpenMetrics) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name}{suffix} {help}");
    }

    /// One value. `name` is with `_total` and `_info`.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{text}\"", if number == 0 { '{' } else { ',' });
        }
        self.text.push_str(if labels.is_empty() { "" } else { "}" });
        let _ = writeln!(self.text, " {value}");
    }

    /// A family of histograms in seconds.
    pub fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        by_labels: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], &'a Histogram)>,
    ) {
        self.family(name, Kind::Histogram, help);
        for (labels, histogram) in by_labels {
            let mut bucket = |bound: &str, count: u64| {
                let labels = [labels, &[("le", bound)]].concat();
                self.sample(&format!("{name}_bucket"), &labels, count as f64);
            };
            for (bound, count) in histogram.buckets() {
                // With a point, as OpenMetrics wants it: `1.0`.
                bucket(&format!("{bound:?}"), count);
            }
            bucket("+Inf", histogram.count());
            self.sample(&format!("{name}_sum"), labels, histogram.sum().as_secs_f64());
            self.sample(&format!("{name}_count"), labels, histogram.count() as f64);
        }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_asks_gets_the_format_that_it_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in ["", "*/*", prometheus, "application/json"] {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for accept in ["text/plain", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", browser] {
            assert_eq!(Format::accepted(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn both_formats_have_the_same_samples_under_the_names_that_each_wants() {
        let mut took = Histogram::default();
        took.observe(Duration::from_millis(700));
        let [open_metrics, text] = [Format::OpenMetrics, Format::Text].map(|format| {
            let mut text = Exposition::new(format);
            text.family("sillage_refused", Kind::Counter, "Refused.");
            text.sample("sillage_refused_total", &[("reason", "a \"b\"\n\\")], 3.0);
            text.histogram("sillage_write_seconds", "Took.", [(&[("of", "log")][..], &took)]);
            text.finish()
        });
        assert!(open_metrics.starts_with("# TYPE sillage_refused counter\n# HELP sillage_refused Refused.\n"));
        assert!(text.starts_with("# TYPE sillage_refused_total counter\n# HELP sillage_refused_total Refused.\n"));
        assert!(open_metrics.contains("# UNIT sillage_write_seconds seconds\n") && open_metrics.ends_with("# EOF\n"));
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"));
        for line in [
            "sillage_refused_total{reason=\"a \\\"b\\\"\\n\\\\\"} 3",
            "sillage_write_seconds_bucket{of=\"log\",le=\"0.5\"} 0",
            "sillage_write_seconds_bucket{of=\"log\",le=\"1.0\"} 1",
            "sillage_write_seconds_bucket{of=\"log\",le=\"+Inf\"} 1",
            "sillage_write_seconds_sum{of=\"log\"} 0.7",
            "sillage_write_seconds_count{of=\"log\"} 1",
        ] {
            let samples = |text: &str| text.lines().any(|found| found == line);
            assert!(samples(&open_metrics) && samples(&text), "{line} in {text}");
        }
    }
}
