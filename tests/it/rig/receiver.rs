//! A receiver of webhooks that does what a test wants: it answers, hangs, sends us elsewhere, or sends for ever.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::waiting::until;

/// What is done with the calls of one path; the last also with all further ones.
#[derive(Clone, Copy)]
pub enum Does {
    /// Answers with a status, and what more stands in the head.
    Answers(u16, &'static str),
    /// Never answers.
    Hangs,
    /// Answers 200 and a gigabyte.
    SendsMuch,
}

/// A request that came.
#[derive(Clone)]
pub struct Call {
    pub at: Instant,
    pub path: String,
    pub id: String,
    pub body: Value,
}

/// A receiver; it ends with this process.
pub struct Receiver {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    /// How much of what was much could be sent.
    pub sent: Arc<AtomicU64>,
}

/// What is much.
const MUCH_BYTES: u64 = 1 << 30;

impl Receiver {
    /// Listens on an address; `does` are paths, and what is done with their first, second, ... call.
    pub fn listen(address: SocketAddr, does: &'static [(&'static str, &'static [Does])]) -> Receiver {
        let listener = TcpListener::bind(address).unwrap();
        let receiver = Receiver { address, calls: Arc::default(), sent: Arc::default() };
        let (calls, sent) = (receiver.calls.clone(), receiver.sent.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (calls, sent) = (calls.clone(), sent.clone());
                thread::spawn(move || {
                    // Who hangs up early is what some tests are about.
                    let _ = receive(stream, does, &calls, &sent);
                });
            }
        });
        receiver
    }

    /// The calls of a path so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        self.calls.lock().unwrap().iter().filter(|call| call.path == path).cloned().collect()
    }

    /// The calls of a path, once there are so many.
    pub fn calls_when(&self, path: &str, many: usize, patience: Duration) -> Vec<Call> {
        until(&format!("{many} calls of {path}"), patience, || {
            Some(self.calls(path)).filter(|calls| calls.len() >= many)
        })
    }
}

fn receive(
    mut stream: TcpStream,
    does: &[(&str, &[Does])],
    calls: &Mutex<Vec<Call>>,
    sent: &AtomicU64,
) -> io::Result<()> {
    let call = read(&mut stream)?;
    let number = {
        let mut calls = calls.lock().unwrap();
        calls.push(call.clone());
        calls.iter().filter(|other| other.path == call.path).count() - 1
    };
    let (_, does) = does.iter().find(|(path, _)| *path == call.path).expect("a path of this test");
    match does[number.min(does.len() - 1)] {
        Does::Answers(status, head) => {
            write!(stream, "HTTP/1.1 {status} So\r\n{head}content-length: 12\r\n\r\nthe answer {}", number % 10)
        }
        Does::Hangs => {
            // Until the caller gives up, or its process is gone.
            let _ = stream.read(&mut [0]);
            Ok(())
        }
        Does::SendsMuch => {
            write!(stream, "HTTP/1.1 200 So\r\ncontent-length: {MUCH_BYTES}\r\n\r\n")?;
            let piece = [b'x'; 64 << 10];
            while sent.load(Ordering::Relaxed) < MUCH_BYTES {
                stream.write_all(&piece)?;
                sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        }
    }
}

fn read(stream: &mut TcpStream) -> io::Result<Call> {
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece)?;
        received.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let header = |name: &str| {
            let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
        };
        let length: usize = header("content-length").parse().unwrap();
        if body.len() >= length {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let body = serde_json::from_str(body).unwrap();
            return Ok(Call { at: Instant::now(), path, id: header("webhook-id"), body });
        }
    }
}
