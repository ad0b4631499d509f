//! A small hub on localhost that can misbehave in many ways.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use camlens::model::hub::Hub;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the hub serves the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    Whole,
    /// Closes the connection after this many bytes, each time.
    Breaks(usize),
    /// Sends nothing after this byte.
    StopsAt(usize),
    /// Sends different bytes than announced.
    Damages,
    Refuses(u16),
    /// Repeatedly sends some bytes, then pauses.
    Slow,
    /// Ignores ranges: it always sends the whole file again.
    WithoutRanges,
    /// Sends an `ETag` that is not a SHA-256.
    WithoutChecksum,
    /// Repeatedly sends one byte, then pauses.
    Drips,
    /// Sends one byte per connection.
    DripsAndBreaks,
    /// Redirects to another port for the bytes, as the real hub redirects to a delivery network.
    Redirects(u16),
    /// Redirects to another path on the same port.
    Moved,
    /// Redirects to itself.
    Circles,
    /// Redirects to a file on the local disk.
    RedirectsToDisk,
    /// Answers every request with a login page.
    LogIn,
    /// Sends the login page only in place of the bytes.
    LogInForBytes,
    /// The same, but with the content type of a file.
    LogInCalledBytes,
    /// Sends different bytes than requested.
    WrongRange,
    /// Announces this size for the file.
    Announces(u64),
    /// Announces this size for the description.
    AnnouncesConfig(u64),
    /// Sends a path as the commit.
    BadCommit,
}

/// A request: its path, and the token that was sent with it.
pub type Asked = (String, Option<String>);

pub struct Server {
    pub address: String,
    pub port: u16,
    manner: Arc<Mutex<Manner>>,
    pub requests: Arc<AtomicUsize>,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    pub weights: Arc<Vec<u8>>,
}

/// Bytes that begin like a safetensors file but are not one.
pub fn bytes(count: u32) -> Vec<u8> {
    let noise = (0..count).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    let mut bytes: Vec<u8> = noise.collect();
    bytes[..9].copy_from_slice(b"\x64\0\0\0\0\0\0\0{");
    bytes
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        Self::with(bytes(1_000_000), manner)
    }

    pub fn with(weights: Vec<u8>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            address: format!("http://{address}"),
            port: address.port(),
            manner: Arc::new(Mutex::new(manner)),
            requests: Arc::default(),
            asked: Arc::default(),
            weights: Arc::new(weights),
        };
        let (manner, requests, asked, weights) = (
            server.manner.clone(),
            server.requests.clone(),
            server.asked.clone(),
            server.weights.clone(),
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (manner, requests, asked, weights) = (
                    manner.clone(),
                    requests.clone(),
                    asked.clone(),
                    weights.clone(),
                );
                thread::spawn(move || {
                    let manner = *manner.lock().unwrap();
                    requests.fetch_add(1, Ordering::SeqCst);
                    // It is not an error if the client disconnects.
                    let _ = serve(stream, manner, &asked, &weights);
                });
            }
        });
        server
    }

    pub fn hub(&self, cache: &Path) -> Hub {
        Hub::new(&self.address, cache.into())
    }

    pub fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// An answer without a body; `headers` must end with a line break.
fn answer(stream: &mut TcpStream, status: &str, headers: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn page(stream: &mut TcpStream, kind: &str) -> std::io::Result<()> {
    let page = "<!doctype html><html>Log in</html>";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

#[allow(clippy::too_many_lines)] // a table of behaviors
fn serve(
    mut stream: TcpStream,
    manner: Manner,
    asked: &Mutex<Vec<Asked>>,
    weights: &[u8],
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap()?;
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let token = headers.get("authorization").cloned();
    asked.lock().unwrap().push((path.clone(), token));
    let range = headers.get("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()))
    });
    let moved = path.starts_with("/moved/");
    let is_weights = path.ends_with("/resolve/main/model.safetensors") || path.starts_with("/blob");
    let config = br#"{"architecture": "resnet18"}"#;
    let (body, etag): (&[u8], String) = if is_weights {
        (weights, sha256(weights))
    } else if path.ends_with("/resolve/main/config.json") {
        (config, "c0ffee".into())
    } else {
        return answer(&mut stream, "404 Not Found", "");
    };
    let etag = match manner {
        Manner::WithoutChecksum => "abc123".into(),
        _ => etag,
    };
    let commit = match manner {
        Manner::BadCommit => "../../../x",
        _ => COMMIT,
    };
    let named = format!("X-Repo-Commit: {commit}\r\nX-Linked-ETag: \"{etag}\"\r\n");
    // The request for the size asks for one byte.
    let question = range == Some((0, Some(0)));
    match manner {
        Manner::Refuses(status) if is_weights => {
            return answer(&mut stream, &format!("{status} No"), "");
        }
        Manner::Redirects(port) if is_weights => {
            let headers = format!("{named}Location: http://127.0.0.1:{port}/blob?signature=1\r\n");
            return answer(&mut stream, "302 Found", &headers);
        }
        Manner::Moved if !moved => {
            let headers = format!("Location: /moved{path}\r\n");
            return answer(&mut stream, "307 Temporary Redirect", &headers);
        }
        Manner::Circles => {
            let headers = format!("Location: {path}\r\n");
            return answer(&mut stream, "302 Found", &headers);
        }
        Manner::RedirectsToDisk if is_weights => {
            let headers = format!("{named}Location: file:///etc/hostname\r\n");
            return answer(&mut stream, "302 Found", &headers);
        }
        Manner::LogIn => return page(&mut stream, "text/html; charset=utf-8"),
        Manner::LogInForBytes if is_weights && !question => {
            return page(&mut stream, "text/html");
        }
        Manner::LogInCalledBytes if is_weights && !question => {
            let mut body = b"<!doctype html><html>Log in".to_vec();
            body.resize(weights.len(), b' ');
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            )?;
            return stream.write_all(&body);
        }
        _ => {}
    }
    let (from, to) = match range {
        Some(_) if manner == Manner::WithoutRanges && !question => (0, body.len()),
        Some((from, to)) => (from, to.map_or(body.len(), |to| to + 1)),
        None => (0, body.len()),
    };
    let status = if range.is_some() && (manner != Manner::WithoutRanges || question) {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    let total = match manner {
        Manner::Announces(total) if is_weights => total,
        Manner::AnnouncesConfig(total) if !is_weights => total,
        _ => body.len() as u64,
    };
    let said = match manner {
        Manner::WrongRange if is_weights && !question => from + 7,
        _ => from,
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nX-Repo-Commit: {commit}\r\nETag: \"{etag}\"\r\nContent-Range: bytes {said}-{}/{total}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        to - 1,
        to - from
    )?;
    let part = &body[from..to];
    match manner {
        Manner::Breaks(count) if is_weights && !question => {
            stream.write_all(&part[..count.min(part.len())])
        }
        Manner::StopsAt(limit) if is_weights && !question => {
            stream.write_all(&body[from.min(limit)..limit])
        }
        Manner::Damages if is_weights && !question => {
            let mut part = part.to_vec();
            part[500] ^= 1;
            stream.write_all(&part)
        }
        Manner::Slow if is_weights && !question => {
            for piece in part.chunks(20_000) {
                stream.write_all(piece)?;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Manner::Drips if is_weights && !question => {
            let (start, rest) = part.split_at(20);
            stream.write_all(start)?;
            for byte in rest.chunks(1) {
                stream.write_all(byte)?;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Manner::DripsAndBreaks if is_weights && !question => {
            let count = if from == 0 { 20 } else { 1 };
            stream.write_all(&part[..count])
        }
        _ => stream.write_all(part),
    }
}
