//! Which sections there are, and what was meant by one that there isn't.

use super::mistake::{Mistake, nearest};
use super::tree::{Node, Value};

/// One section of the file.
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// True for `[[name]]`.
    pub repeats: bool,
}

/// All sections.
pub const SECTIONS: [Section; 14] = [
    Section { name: "web", repeats: false },
    Section { name: "access", repeats: true },
    Section { name: "otlp", repeats: false },
    Section { name: "store", repeats: false },
    Section { name: "source", repeats: true },
    Section { name: "registry", repeats: false },
    Section { name: "redact", repeats: true },
    Section { name: "convention", repeats: true },
    Section { name: "consumer", repeats: true },
    Section { name: "webhook", repeats: true },
    Section { name: "alert", repeats: true },
    Section { name: "alerting", repeats: false },
    Section { name: "redrive", repeats: false },
    Section { name: "telemetry", repeats: false },
];

impl Section {
    fn title(&self) -> String {
        if self.repeats { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}

/// Tells of every section that there isn't.
pub fn known(root: &Node, mistakes: &mut Vec<Mistake>) {
    let Value::Table(members) = &root.value else { return };
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    for member in members.iter().filter(|member| !names.contains(&member.name.as_str())) {
        let hint = match nearest(&member.name, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let titles: Vec<String> = SECTIONS.iter().map(Section::title).collect();
                format!("known: {}", titles.join(", "))
            }
        };
        let what = if matches!(member.node.value, Value::Table(_) | Value::List(_)) { "section" } else { "key" };
        let says = format!("unknown {what} `{}`", member.name);
        mistakes.push(Mistake { place: member.place.clone(), says, hint: Some(hint) });
    }
}
