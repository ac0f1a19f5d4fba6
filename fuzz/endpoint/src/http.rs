//! As much of HTTP/1.1 (RFC 9112) as a client on this machine needs: requests with a length or chunks, answers with a
//! length or chunks.

use std::io::{self, BufRead, Read, Write};

/// Longest line of a head, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Longest body that is read, in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names are lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns the target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Reads the next request; none where the client has closed the connection between two.
pub(crate) fn read(from: &mut (impl BufRead + Write)) -> io::Result<Option<Request>> {
    let Some(first) = line(from)? else { return Ok(None) };
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed(format!("`{first}` is no line of a request")));
    };
    let mut request =
        Request { method: method.to_string(), target: target.to_string(), headers: Vec::new(), body: Vec::new() };
    loop {
        let header = line(from)?.ok_or_else(|| malformed("the head is cut"))?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| malformed(format!("`{header}` is no header")))?;
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        from.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = request.header("content-length").map(str::to_string);
    match (length, request.header("transfer-encoding")) {
        (Some(length), None) => {
            let bytes = length.parse().map_err(|_| malformed(format!("`{length}` is no length")))?;
            exactly(from, bytes, &mut request.body)?;
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => loop {
            let head = line(from)?.ok_or_else(|| malformed("the body is cut"))?;
            let bytes = u64::from_str_radix(&head, 16).map_err(|_| malformed(format!("`{head}` is no chunk")))?;
            exactly(from, bytes, &mut request.body)?;
            if line(from)?.as_deref() != Some("") {
                return Err(malformed("a chunk is longer than it says"));
            }
            if bytes == 0 {
                break;
            }
        },
        (None, None) => {}
        (_, Some(coding)) => return Err(malformed(format!("`{coding}` is no way to send this body"))),
    }
    Ok(Some(request))
}

fn exactly(from: &mut impl Read, bytes: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if bytes.saturating_add(body.len() as u64) > BODY_BYTES_MAX {
        return Err(malformed("the body is too long"));
    }
    let before = body.len();
    from.take(bytes).read_to_end(body)?;
    if (body.len() - before) as u64 == bytes { Ok(()) } else { Err(malformed("the body is cut")) }
}

fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = bytes.strip_suffix(b"\r\n").ok_or_else(|| malformed("a line is cut or too long"))?;
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| malformed("a line is no text"))
}

/// Writes an answer whose length is known.
pub(crate) fn whole(to: &mut impl Write, code: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    head(to, code, headers, &format!("content-length: {}", body.len()))?;
    to.write_all(body)
}

/// Writes the head of an answer that comes in chunks.
pub(crate) fn begin(to: &mut impl Write, headers: &[(&str, &str)]) -> io::Result<()> {
    head(to, 200, headers, "transfer-encoding: chunked")
}

/// Writes one chunk; an empty one is the end.
pub(crate) fn chunk(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    to.write_all(&framed)
}

fn head(to: &mut impl Write, code: u16, headers: &[(&str, &str)], length: &str) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {code} {}\r\n{length}\r\n", if code < 400 { "OK" } else { "Refused" });
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    to.write_all(text.as_bytes())
}
