//! Which host a request may be for, and which page it may come from.
//!
//! A page on the internet can point its own name at 127.0.0.1 and then talk to us as "its own" server (DNS rebinding): it can't
//! make the browser send another `Host` than its name, so an unknown name is refused. A number can't be pointed elsewhere.

use axum::http::{HeaderMap, StatusCode, header};

use crate::door::Door;
use crate::page::Problem;

/// Refuses a request for a host that isn't us.
pub fn check_host(door: &Door, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "The request names no host"));
    };
    let name = without_port(host).to_ascii_lowercase();
    if is_ours(door, &name) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "Sillage is not known by this name").because(&format!(
        "The request is for `{name}`. If people shall reach Sillage by that name, say so in the configuration: \
         `[web] public_url = \"http://{host}/\"`. Otherwise use the address that Sillage printed when it started."
    )))
}

fn is_ours(door: &Door, name: &str) -> bool {
    if door.public_url.as_ref().is_some_and(|url| url.host == name) {
        return true;
    }
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    match (door.loopback, is_address) {
        (true, Ok(address)) => address.is_loopback(),
        (true, Err(_)) => name == "localhost" || name.ends_with(".localhost"),
        // On a network: any address, and names without a dot (a container's, a neighbour's), which no web site can have.
        (false, Ok(_)) => true,
        (false, Err(_)) => !name.is_empty() && (!name.contains('.') || name.ends_with(".localhost")),
    }
}

/// Refuses a request that changes something and comes from another site's page.
/// Browsers send `Origin: null` where a page's referrer policy is no-referrer, as ours is; then `Sec-Fetch-Site` tells.
pub fn check_origin(door: &Door, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same_site = match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        Some(_) => false,
    };
    let same_origin = match text("origin") {
        None | Some("null") => true,
        Some(origin) => {
            let is_host = origin.split_once("://").is_some_and(|(_, host)| text("host") == Some(host));
            is_host || door.public_url.as_ref().is_some_and(|url| url.origin() == origin)
        }
    };
    if same_site && same_origin {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "This came from another site")
        .because("Another site's page tried to change something here. Nothing was changed."))
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicUrl;

    fn host_is_taken(loopback: bool, public_url: Option<&str>, host: &str) -> bool {
        let public_url = public_url.map(|url| PublicUrl::try_from(url.to_owned()).unwrap());
        let door = Door::new(&[], public_url, loopback).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        check_host(&door, &headers).is_ok()
    }

    #[test]
    fn a_rebound_name_is_refused() {
        for host in ["localhost", "localhost:7455", "127.0.0.1:7455", "[::1]:7455", "demo.localhost", "LOCALHOST"] {
            assert!(host_is_taken(true, None, host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:7455", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example"]
        {
            assert!(!host_is_taken(true, None, host), "{host}");
        }
        assert!(host_is_taken(true, Some("https://sillage.example.org/"), "sillage.example.org"));
        for host in ["10.0.0.1:7455", "sillage:7455", "[fe80::1]"] {
            assert!(host_is_taken(false, None, host), "{host}");
        }
        assert!(!host_is_taken(false, None, "evil.example"));
    }

    #[test]
    fn another_sites_form_is_refused() {
        let door = Door::new(&[], Some(PublicUrl::try_from("https://a.example/x".to_owned()).unwrap()), true).unwrap();
        let is_taken = |sent: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:7455".parse().unwrap());
            for (name, value) in sent {
                headers.insert(*name, value.parse().unwrap());
            }
            check_origin(&door, &headers).is_ok()
        };
        assert!(is_taken(&[]));
        assert!(is_taken(&[("origin", "http://localhost:7455")]));
        assert!(is_taken(&[("origin", "https://a.example")]));
        assert!(is_taken(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!is_taken(&[("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!is_taken(&[("origin", "http://evil.example")]));
        assert!(!is_taken(&[("origin", "http://localhost:1")]));
    }
}
