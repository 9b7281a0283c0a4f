//! A record's body, byte for byte.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use store::knot::Tie;
use store::{Channel, Knot};

use super::ask::{Names, Params};
use super::flow::parse_place;
use super::problem::Problem;
use crate::state::AppState;

/// How many records one place may have: of every source that has such a channel, each life of it.
const RECORDS_MAX: usize = 256;

/// Which life of the channel, where there were several; the latest when nothing is said.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RawParams {
    incarnation: Option<u32>,
}

/// `record/{source}/{channel}/{place}/raw`. Never with a type that a browser would run: it is somebody else's content under our name.
pub async fn show(
    State(state): State<AppState>,
    Names([source, channel, place]): Names<3>,
    Params(params): Params<RawParams>,
) -> Result<Response, Problem> {
    let knot = Knot::Position(Channel::from(channel), parse_place(&place)?);
    let found = state.store.related(&[(Tie::Is, knot)], RECORDS_MAX).await?;
    let records = found.entries.iter().filter_map(|held| held.entry.as_record());
    let of_source = records.filter(|record| {
        record.position.source.as_str() == source
            && params.incarnation.is_none_or(|number| record.position.incarnation.0 == number)
    });
    let Some(record) = of_source.max_by_key(|record| record.position.incarnation) else {
        return Err(Problem::not_found("no record is kept from there: it may be older than what is kept"));
    };
    let Some(body) = record.body.clone() else {
        // Null is not empty: a tombstone has no body at all.
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"body.bin\""));
    Ok(response)
}
