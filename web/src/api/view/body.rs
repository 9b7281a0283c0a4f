//! Bodies and other bytes, as JSON has them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use store::record::BodyEncoding;

use super::value::{cut, cut_hex, readable};
use crate::api::answer::VALUE_BYTES_MAX;

/// Bytes: as text where they can be read, else `{"hex": "…"}`.
#[derive(Serialize, Debug)]
#[serde(untagged)]
pub enum BytesView<'a> {
    Text(&'a str),
    Hex { hex: String },
}

/// A body: JSON as it is, everything else as text; binary as hexadecimal digits.
#[derive(Serialize, Debug)]
#[serde(untagged)]
pub enum BodyView<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
    Hex(String),
}

/// How deep a JSON body may be nested to be shown as JSON: readers give up at 128 levels (serde_json, and others near it), and an answer
/// has some of its own. A deeper one is shown as text.
const BODY_DEPTH_MAX: usize = 100;

/// A key or a header's value.
pub fn bytes(bytes: &[u8]) -> BytesView<'_> {
    match readable(bytes) {
        Some(text) => BytesView::Text(cut(text)),
        None => BytesView::Hex { hex: cut_hex(bytes) },
    }
}

/// Whether a part of the body is left out.
pub fn is_body_cut(body: &[u8], encoding: BodyEncoding) -> bool {
    let is_hex = !is_text(encoding) || std::str::from_utf8(body).is_err();
    body.len() > if is_hex { VALUE_BYTES_MAX / 2 } else { VALUE_BYTES_MAX }
}

fn is_text(encoding: BodyEncoding) -> bool {
    matches!(encoding, BodyEncoding::Json | BodyEncoding::Text)
}

/// A body by what it is.
pub fn shown(body: &[u8], encoding: BodyEncoding) -> BodyView<'_> {
    match std::str::from_utf8(body) {
        Ok(text)
            if encoding == BodyEncoding::Json && text.len() <= VALUE_BYTES_MAX && depth(text) <= BODY_DEPTH_MAX =>
        {
            match serde_json::from_str(text) {
                Ok(json) => BodyView::Json(json),
                Err(_) => BodyView::Text(Cow::Borrowed(text)),
            }
        }
        Ok(text) if is_text(encoding) => BodyView::Text(Cow::Borrowed(cut(text))),
        _ => BodyView::Hex(cut_hex(body)),
    }
}

/// The deepest nesting of brackets; those within strings count too, which at worst shows a body as text.
fn depth(json: &str) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    for byte in json.bytes() {
        match byte {
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
