//! A real Apicurio Registry, one for all tests of this process, and a gate before it that can be shut, and that can ask for a password.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::home::free_port;
use super::{http, parts};

pub struct Apicurio {
    pub address: SocketAddr,
    pub tls: SocketAddr,
    /// The certificate that its own is believed by.
    pub ca: PathBuf,
}

/// Where its API in Confluent's form is.
pub const CONFLUENT: &str = "/apis/ccompat/v7";

/// The registry that all tests share. It ends with this process, and forgets everything.
pub fn shared() -> &'static Apicurio {
    static SHARED: OnceLock<Apicurio> = OnceLock::new();
    SHARED.get_or_init(|| {
        parts::installed("apicurio/apicurio-registry-app-3.0.9-runner.jar");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("apicurio-of-{}", std::process::id()));
        let (port, tls) = (free_port(), free_port());
        let mut command = Command::new(parts::script("apicurio"));
        command.env("SILLAGE_OWNER", std::process::id().to_string()).arg("start").arg(&folder);
        parts::run(command.args([port.to_string(), tls.to_string()]));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Apicurio { address: at(port), tls: at(tls), ca: folder.join("ca.pem") }
    })
}

impl Apicurio {
    /// Registers a schema, and returns its id.
    pub fn register(&self, subject: &str, kind: &str, schema: &str) -> u32 {
        let body = json!({ "schemaType": kind, "schema": schema }).to_string();
        let headers = [("content-type", "application/vnd.schemaregistry.v1+json")];
        let path = format!("{CONFLUENT}/subjects/{subject}/versions");
        let answer = http::post(self.address, &path, &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["id"].as_u64().unwrap() as u32
    }

    /// Apicurio's own ids of the first version of an artifact.
    pub fn own_ids(&self, artifact: &str) -> Value {
        let path = format!("/apis/registry/v3/groups/default/artifacts/{artifact}/versions/1");
        http::get(self.address, &path).unwrap().json()
    }
}

/// Lets connections through to the registry, or doesn't.
pub struct Gate {
    pub address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Gate {
    /// A gate that is open to those who say `Authorization: Basic` with this user and password.
    pub fn asking(user_and_password: &str) -> Gate {
        let registry = shared().address;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate { address: listener.local_addr().unwrap(), open: Arc::new(AtomicBool::new(true)) };
        let open = gate.open.clone();
        let wanted = format!("basic {}", STANDARD.encode(user_and_password)).to_lowercase();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (open, wanted) = (open.clone(), wanted.clone());
                // Who is shut out, or goes away, ends its own connection only.
                thread::spawn(move || drop(through(stream, registry, &open, &wanted)));
            }
        });
        gate
    }

    /// Nobody gets through any more.
    pub fn shut(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Everybody who knows the password does.
    pub fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
}

/// One request after the other: read to the end of its headers (none has a body), checked, passed on, its answer passed back.
fn through(mut from: TcpStream, registry: SocketAddr, open: &AtomicBool, wanted: &str) -> io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    if !open.load(Ordering::Relaxed) {
        return from.shutdown(Shutdown::Both);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    if !request.contains(wanted) {
        return from.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let mut to = TcpStream::connect(registry)?;
    to.write_all(format!("GET {path} HTTP/1.1\r\nhost: {registry}\r\nconnection: close\r\n\r\n").as_bytes())?;
    io::copy(&mut to, &mut from)?;
    from.shutdown(Shutdown::Both)
}
