//! A connection that is kept, for requests whose time is measured: what is timed is the answer, not the handshake.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::rig::http::{Answer, parse};

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept, for requests whose time is measured.
pub struct Connection {
    server: SocketAddr,
    stream: TcpStream,
}

impl Connection {
    pub fn open(server: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { server, stream })
    }

    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.server).as_bytes())?;
        let mut received = Vec::with_capacity(16 << 10);
        let mut some = [0; 16 << 10];
        loop {
            match self.stream.read(&mut some)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                size => received.extend_from_slice(&some[..size]),
            }
            // Whole as soon as it can be taken apart; until then more is on its way.
            if let Ok(answer) = parse(&received) {
                return Ok(answer);
            }
        }
    }
}
