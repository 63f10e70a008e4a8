//! As much HTTP as pushing to a registry on the loopback device takes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// An answer without its body.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
}

/// Sends one request on a connection of its own.
pub(crate) fn request(host: &str, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Response> {
    let mut stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|s| s.parse().ok());
    let Some(status) = status else { bail!("{method} {path}: not an HTTP answer: {line:?}") };
    let mut location = None;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("location") {
            // Absolute as a rule; only the path matters here.
            let value = value.trim();
            let path = value.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
            location = Some(path.unwrap_or(value).to_owned());
        }
    }
    reader.read_to_end(&mut Vec::new())?;
    Ok(Response { status, location })
}
