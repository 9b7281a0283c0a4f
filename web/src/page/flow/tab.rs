//! What is shown of a flow: one tab at a time, named in the address.

use store::flow::Flow;

use crate::href::Href;
use crate::wording;

/// What is shown of a flow: one at a time, named in the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tab {
    Timeline,
    Deliveries,
    Records,
    Spans,
    Logs,
    Findings,
    Raw,
}

/// In the order in which they stand.
const TABS: [Tab; 7] = [Tab::Timeline, Tab::Deliveries, Tab::Records, Tab::Spans, Tab::Logs, Tab::Findings, Tab::Raw];

impl Tab {
    /// The tab of that name in the address; the timeline where there is none of it.
    pub fn named(name: &str) -> Tab {
        TABS.into_iter().find(|tab| tab.name() == name).unwrap_or(Tab::Timeline)
    }

    /// Whether an entry is shown in full beside it.
    pub fn is_split(self) -> bool {
        matches!(self, Tab::Timeline | Tab::Records | Tab::Spans | Tab::Logs)
    }

    /// Its name in the address; the timeline needs none.
    pub fn name(self) -> &'static str {
        match self {
            Tab::Timeline => "",
            Tab::Deliveries => "deliveries",
            Tab::Records => "records",
            Tab::Spans => "spans",
            Tab::Logs => "logs",
            Tab::Findings => "findings",
            Tab::Raw => "raw",
        }
    }

    fn label(self, flow: &Flow) -> String {
        let counted = |word: &str, many: usize| format!("{word} {}", wording::count(many as u64));
        match self {
            Tab::Timeline => "Timeline".to_owned(),
            Tab::Deliveries => counted("Deliveries", flow.deliveries.len()),
            Tab::Records => counted("Records", flow.records.len()),
            Tab::Spans => counted("Spans", flow.spans.len()),
            Tab::Logs => counted("Logs", flow.logs.len()),
            Tab::Findings => counted("Findings", flow.findings.len()),
            Tab::Raw => "Raw".to_owned(),
        }
    }
}

/// A tab as a link.
pub struct TabLink {
    pub label: String,
    pub href: Href,
    pub is_current: bool,
    /// Whether there is something in it that one should see.
    pub is_marked: bool,
}

/// All tabs of a flow.
pub fn links(flow: &Flow, current: Tab, base: &Href) -> Vec<TabLink> {
    TABS.into_iter()
        .map(|tab| TabLink {
            label: tab.label(flow),
            href: base.clone().with("tab", tab.name()),
            is_current: tab == current,
            is_marked: tab == Tab::Findings && !flow.findings.is_empty(),
        })
        .collect()
}
