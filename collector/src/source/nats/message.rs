//! One message of a stream, as JetStream's API hands it over (nats-server : server/jetstream_api.go, `JSApiMsgGetResponse`).
//!
//! Read by ourselves, because the client keeps neither the order of headers nor, on this way, repeated ones, and fails over
//! headers that are malformed: such a message would stop the stream for good.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use store::record::Header;

/// The answer to a request for a message.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// The message, where there is one.
    pub message: Option<Message>,
    /// Why there is none.
    pub error: Option<Refusal>,
}

/// A message.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// The subject it was published on.
    pub subject: String,
    /// Its place in the stream.
    #[serde(rename = "seq")]
    pub sequence: u64,
    /// Its headers as they were on the wire, in base64.
    #[serde(rename = "hdrs")]
    headers: Option<String>,
    /// Its body in base64; missing where it is empty.
    data: Option<String>,
    /// When the server took it, as RFC 3339.
    pub time: String,
}

/// What the server says instead of an answer.
#[derive(Debug, Deserialize)]
pub struct Refusal {
    /// Which error (nats-server : server/errors.json).
    #[serde(rename = "err_code", default)]
    pub code: u32,
    /// In words.
    #[serde(default)]
    pub description: String,
}

/// JetStream's number for "no message found".
pub const NO_MESSAGE: u32 = 10_037;

impl Message {
    /// Its body, and what is wrong with it.
    pub fn body(&self) -> Result<Vec<u8>, String> {
        let data = self.data.as_deref().unwrap_or_default();
        STANDARD.decode(data).map_err(|error| format!("its body did not come whole: {error}"))
    }

    /// Its headers in order, and what is wrong with them.
    pub fn headers(&self) -> (Vec<Header>, Option<String>) {
        match self.headers.as_deref().map(|headers| STANDARD.decode(headers)) {
            None => (Vec::new(), None),
            Some(Ok(wire)) => headers(&wire),
            Some(Err(error)) => (Vec::new(), Some(format!("its headers did not come whole: {error}"))),
        }
    }
}

/// `NATS/1.0`, then lines of `name: value`.
fn headers(wire: &[u8]) -> (Vec<Header>, Option<String>) {
    let mut read = Vec::new();
    let mut unreadable = 0;
    for line in wire.split(|byte| *byte == b'\n').skip(1) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        match colon.map(|colon| (std::str::from_utf8(&line[..colon]), &line[colon + 1..])) {
            Some((Ok(name), value)) => {
                let value = Some(bytes::Bytes::copy_from_slice(value.trim_ascii()));
                read.push(Header { name: name.trim().to_owned(), value });
            }
            Some((Err(_), _)) | None => unreadable += 1,
        }
    }
    let problem = (unreadable > 0).then(|| format!("{unreadable} of its header lines can't be read"));
    (read, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wire: &[u8]) -> (Vec<(String, Vec<u8>)>, bool) {
        let (headers, problem) = headers(wire);
        let pairs = headers.into_iter().map(|header| (header.name, header.value.unwrap().to_vec()));
        (pairs.collect(), problem.is_some())
    }

    #[test]
    fn headers_keep_their_order_and_their_repetitions() {
        let (read, wrong) = check(b"NATS/1.0\r\nb: 1\r\na:2\r\nb:  3 \r\nempty:\r\nurl: nats://x\r\n\r\n");
        let pair = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let expected =
            [pair("b", b"1"), pair("a", b"2"), pair("b", b"3"), pair("empty", b""), pair("url", b"nats://x")];
        assert_eq!((read.as_slice(), wrong), (expected.as_slice(), false));
    }

    #[test]
    fn malformed_headers_are_told_and_the_rest_is_kept() {
        let (read, wrong) = check(b"NATS/1.0\r\nno colon\r\n\xff\xfe: x\r\na: \xff\r\n");
        assert_eq!((read, wrong), (vec![("a".to_owned(), vec![0xff])], true));
        assert_eq!(check(b""), (Vec::new(), false));
    }

    #[test]
    fn an_answer_is_read_with_and_without_a_message() {
        let text = r#"{"type":"x","message":{"subject":"orders.placed","seq":7,"data":"e30=","time":"2026-11-23T14:02:11.541Z"}}"#;
        let message = serde_json::from_str::<Answer>(text).unwrap().message.unwrap();
        assert_eq!((message.sequence, message.body().unwrap().as_slice()), (7, &b"{}"[..]));
        let text = r#"{"type":"x","error":{"code":404,"err_code":10037,"description":"no message found"}}"#;
        assert_eq!(serde_json::from_str::<Answer>(text).unwrap().error.unwrap().code, NO_MESSAGE);
    }
}
