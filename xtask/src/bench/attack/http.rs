//! A small HTTP/1.1 client that measures: one request, one deadline, and what became of it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::dice::Dice;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer with its status and body.
    Answered(u16, Vec<u8>),
    /// The connection ended without an answer.
    Broken,
    /// Nothing until the deadline.
    Silent,
}

impl Outcome {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Answered(status, _) => status.to_string(),
            Self::Broken => "broken".to_owned(),
            Self::Silent => "silent".to_owned(),
        }
    }

    pub(super) fn status(&self) -> u16 {
        if let Self::Answered(status, _) = self { *status } else { 0 }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Answered(_, body) => serde_json::from_slice(body).unwrap_or_default(),
            _ => serde_json::Value::Null,
        }
    }
}

/// A request before it is sent.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn json(method: &'static str, path: &str, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { method, path: path.to_owned(), headers, body: body.to_string().into_bytes() }
    }

    pub(super) fn form(path: &str, parts: &[Part]) -> Self {
        // A boundary that a file holds would end its part; twenty random digits occur in none.
        let mut dice = Dice::new(parts.len() as u64, parts.iter().map(|part| part.bytes.len() as u64).sum());
        let boundary = format!("------------{:020x}", dice.next());
        let mut body = Vec::new();
        for part in parts {
            let file = part.file.as_ref().map_or_else(String::new, |name| {
                format!("; filename=\"{name}\"\r\ncontent-type: application/octet-stream")
            });
            body.extend_from_slice(
                format!(
                    "--{boundary}\r\ncontent-disposition: form-data; name=\"{}\"{file}\r\n\r\n",
                    part.name
                )
                .as_bytes(),
            );
            body.extend_from_slice(&part.bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let headers = vec![("content-type", format!("multipart/form-data; boundary={boundary}"))];
        Self { method: "POST", path: path.to_owned(), headers, body }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn head(&self, host: &SocketAddr) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "{} {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            self.method,
            self.path,
            self.body.len()
        )
    }

    /// Sends it on a connection of its own.
    pub(super) fn send(&self, host: SocketAddr, patience: Duration) -> Outcome {
        let deadline = Instant::now() + patience;
        let Ok(mut stream) = TcpStream::connect_timeout(&host, patience) else { return Outcome::Broken };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(patience));
        // A server may answer and close before it has read everything; the answer counts.
        let _ = stream.write_all(self.head(&host).as_bytes()).and_then(|()| stream.write_all(&self.body));
        let mut answer = Vec::new();
        let mut chunk = vec![0; 16 * 1024];
        loop {
            if let Some(outcome) = complete(&answer, false) {
                return outcome;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Outcome::Silent;
            }
            let _ = stream.set_read_timeout(Some(left));
            match stream.read(&mut chunk) {
                Ok(0) => return complete(&answer, true).unwrap_or(Outcome::Broken),
                Ok(count) => answer.extend_from_slice(&chunk[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    return Outcome::Silent;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return complete(&answer, true).unwrap_or(Outcome::Broken),
            }
        }
    }
}

/// A part of a form.
pub(super) struct Part {
    pub(super) name: String,
    /// The file's name; texts have none.
    pub(super) file: Option<String>,
    pub(super) bytes: Vec<u8>,
}

impl Part {
    pub(super) fn text(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), file: None, bytes: value.as_bytes().to_vec() }
    }

    pub(super) fn file(name: &str, file: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), file: Some(file.to_owned()), bytes: bytes.to_vec() }
    }
}

/// The answer, when all of it is there.
fn complete(answer: &[u8], ended: bool) -> Option<Outcome> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(answer.get(..end)?).to_ascii_lowercase();
    let body = answer.get(end + 4..)?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:").is_some_and(|coding| coding.contains("chunked")) {
        let done = body.ends_with(b"0\r\n\r\n");
        return (done || ended).then(|| Outcome::Answered(status, unchunked(body)));
    }
    match value("content-length:").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => (body.len() >= length || ended)
            .then(|| Outcome::Answered(status, body[..length.min(body.len())].to_vec())),
        None => ended.then(|| Outcome::Answered(status, body.to_vec())),
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]);
        let Ok(size @ 1..) = usize::from_str_radix(size.trim(), 16) else { break };
        let Some(chunk) = body.get(end + 2..end + 2 + size) else { break };
        out.extend_from_slice(chunk);
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn served(answer: &'static [u8]) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut chunk = [0; 4096];
            let _ = stream.read(&mut chunk).unwrap();
            stream.write_all(answer).unwrap();
        });
        let outcome = Request::get("/").send(host, Duration::from_secs(30));
        server.join().unwrap();
        outcome
    }

    #[test]
    fn answers_are_read_by_length_by_chunk_and_by_end() {
        assert_eq!(
            served(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
            Outcome::Answered(200, b"hi".to_vec())
        );
        assert_eq!(
            served(b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            Outcome::Answered(400, b"abcde".to_vec())
        );
        assert_eq!(served(b"HTTP/1.1 204 No Content\r\n\r\n"), Outcome::Answered(204, Vec::new()));
        assert_eq!(served(b""), Outcome::Broken);
    }

    #[test]
    fn a_silent_server_is_told_from_a_broken_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap();
        assert_eq!(Request::get("/").send(host, Duration::from_millis(50)), Outcome::Silent);
        drop(listener);
        assert_eq!(Request::get("/").send(host, Duration::from_millis(50)), Outcome::Broken);
    }
}
