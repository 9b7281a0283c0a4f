//! Asks the process that uses the data folder, over its API: one small request, written by hand.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use store::erasure::Wanted;

use super::Told;

/// How long an answer may take: every segment may have to be written anew.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// The longest answer that is read, in bytes: a page, or a list of some thousand files.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Has it forgotten there, or, without `yes`, told what would go.
pub(super) fn ask(config: &web::Config, access: &[web::Access], wanted: &Wanted, yes: bool) -> anyhow::Result<Told> {
    let server = address(config.listen);
    let head = operator(server, access)?;
    let mut body = json!({ "yes": yes });
    body[wanted.by.as_str()] = Value::String(wanted.value.clone());
    let (status, answer) = request(server, "POST /api/v1/forget", &head, &body.to_string())?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("{server} answered no JSON"))?;
    if status != 200 {
        bail!("{server} refused ({status}): {}", answer["detail"].as_str().unwrap_or("it doesn't say why"));
    }
    let files = answer["files"].as_array().into_iter().flatten();
    let file = |file: &Value| Some((file["file"].as_str()?.to_owned(), file["entries"].as_u64()?));
    Ok(Told {
        entries: answer["entries"].as_u64().ok_or_else(|| anyhow!("{server} doesn't say how many entries"))?,
        at_least: answer["atLeast"] == true,
        files: files.filter_map(file).collect(),
        erasing: answer["erasing"].as_u64().unwrap_or(0),
        unfinished: answer["unfinished"].as_str().map(str::to_owned),
        unread: answer["unread"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect(),
    })
}

/// The header by which an operator is known there.
pub fn operator(server: SocketAddr, access: &[web::Access]) -> anyhow::Result<String> {
    Ok(match access.iter().find(|access| access.role == web::Role::Operate) {
        Some(operator) => format!("Authorization: Bearer {}\r\n", operator.secret.reveal()?),
        None if access.is_empty() => format!("X-Sillage-Token: {}\r\n", token(server)?),
        None => bail!("the data folder is in use, and no [[access]] has the role operate: stop that process first"),
    })
}

/// Where nobody logs in, a form's token shows that whoever asks can read our pages.
fn token(server: SocketAddr) -> anyhow::Result<String> {
    let (_, page) = request(server, "GET /forget", "", "")?;
    let token = page.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (token, _) =
        token.ok_or_else(|| anyhow!("what listens on {server} is not the process that uses the folder"))?;
    Ok(token.to_owned())
}

/// Every address of this machine is also its loopback.
pub fn address(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// HTTP/1.0, so that the answer comes in one piece and ends with the connection.
pub fn request(server: SocketAddr, what: &str, head: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let failed = || {
        format!(
            "the data folder is in use, but its process doesn't answer on {server}: name [web] listen, or --listen, as it has it"
        )
    };
    let mut stream = TcpStream::connect(server).with_context(failed)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let length = body.len();
    let origin = format!("Host: {server}\r\nOrigin: http://{server}\r\n");
    let request = format!(
        "{what} HTTP/1.0\r\n{origin}{head}Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).with_context(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).with_context(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").with_context(failed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(failed)?, body.to_owned()))
}
