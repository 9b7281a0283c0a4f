//! Who a span's service consumes as: a consumer group where one is told, else the service itself.

use std::collections::HashMap;

use crate::board::Board;
use crate::flow::{Flow, Joined};
use crate::span::Span;

/// Which groups the services of a flow consume as.
pub struct Consumers<'a> {
    board: &'a Board,
    by_service: HashMap<&'a str, &'a str>,
}

impl<'a> Consumers<'a> {
    /// As the spans of a flow, the members of groups and the configuration tell.
    pub fn of(flow: &'a Flow, board: &'a Board) -> Consumers<'a> {
        let mut told: HashMap<&str, Option<&str>> = HashMap::new();
        for span in flow.each_span() {
            if let Some(group) = group_of(span) {
                let known = told.entry(span.service()).or_insert(Some(group));
                *known = known.filter(|known| *known == group);
            }
        }
        let by_service = told.into_iter().filter_map(|(service, group)| Some((service, group?))).collect();
        Consumers { board, by_service }
    }

    /// Who consumed a record, by a span about it, and whether that is a group: the group that the span names; else the only one that
    /// its service names in this flow; else the one with a member of the span's client id; else the one that the configuration names.
    pub fn of_span(&self, span: &Span, record: &Joined) -> (String, bool) {
        let told = group_of(span).or_else(|| self.by_service.get(span.service()).copied()).map(str::to_owned);
        let group = told.or_else(|| self.by_client(span, record)).or_else(|| self.board.tied(span.service()));
        match group {
            Some(group) => (group, true),
            None => (span.service().to_owned(), false),
        }
    }

    fn by_client(&self, span: &Span, record: &Joined) -> Option<String> {
        let client_id = span.messaging.as_ref()?.client_id.as_deref()?;
        let position = &record.held.entry.as_record()?.position;
        let readers = self.board.readers(&position.source);
        readers.by_client(&position.channel, client_id).map(|group| group.group.clone())
    }
}

fn group_of(span: &Span) -> Option<&str> {
    span.messaging.as_ref()?.group.as_deref()
}
