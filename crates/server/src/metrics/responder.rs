//! The part of HTTP that a scraper needs: `GET /metrics`, one request for each connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::address::{MetricsAddress, MetricsListener};
use super::collect::scrape;
use crate::service::Service;

/// Scrapers that are served at one time. Further ones are answered 503.
const AT_ONCE: usize = 8;
/// How long one read from a scraper, or one write to it, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a whole exchange may take.
const ALL: Duration = Duration::from_secs(30);
/// The longest request in bytes.
const REQUEST: usize = 8 * 1024;
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The server of metrics, which serves as long as the process lives.
#[derive(Debug)]
pub struct Responder {
    address: MetricsAddress,
}

impl Responder {
    /// Listens at the address, and answers on threads of its own.
    ///
    /// # Errors
    /// The errors of socket(2), bind(2) and clone(2).
    pub fn start(service: Service, address: &MetricsAddress) -> io::Result<Responder> {
        let socket = address.listen()?;
        let real = match &socket {
            MetricsListener::Network(listener) => MetricsAddress::Network(listener.local_addr()?),
            MetricsListener::Unix(_) => address.clone(),
        };
        if real.is_public() {
            tracing::warn!("metrics, with the names of all cgroups, can be read from other machines");
        }
        thread::Builder::new().name("metrics".to_owned()).spawn(move || accept(&socket, &service))?;
        Ok(Responder { address: real })
    }

    /// The address that it listens at. In place of port 0, which lets the kernel choose, it has the chosen port.
    pub fn address(&self) -> &MetricsAddress {
        &self.address
    }
}

/// The connection of a scraper, over either kind of socket.
trait ScrapeStream: Read + Write + Send {
    fn limit(&self, time: Duration) -> io::Result<()>;
}

impl ScrapeStream for TcpStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl ScrapeStream for UnixStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

fn accept(socket: &MetricsListener, service: &Service) {
    let serving = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted: io::Result<Box<dyn ScrapeStream>> = match socket {
            MetricsListener::Network(listener) => listener.accept().map(|(stream, _)| Box::new(stream) as _),
            MetricsListener::Unix(listener) => listener.accept().map(|(stream, _)| Box::new(stream) as _),
        };
        let Ok(mut stream) = accepted else {
            // usually for want of descriptors, which others close in time
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if stream.limit(PATIENCE).is_err() {
            continue;
        }
        if serving.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
            serving.fetch_sub(1, Ordering::AcqRel);
            // the answer fits into the socket's buffer, so this never waits
            let _ = stream.write_all(&answer("503 Service Unavailable", "too many at once\n", true));
            continue;
        }
        let (service, done) = (service.clone(), ScrapeSlot(Arc::clone(&serving)));
        let serve = move || {
            let _done = done;
            // a scraper that goes away needs no answer
            let _ = serve(&mut *stream, &service);
        };
        if let Err(error) = thread::Builder::new().name("metrics-scrape".to_owned()).spawn(serve) {
            tracing::warn!("no thread for a scraper: {error}");
        }
    }
}

/// One of the scrapers that are being served. Drop counts one less, however its thread ends.
struct ScrapeSlot(Arc<AtomicUsize>);

impl Drop for ScrapeSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn serve(stream: &mut dyn ScrapeStream, service: &Service) -> io::Result<()> {
    let deadline = Instant::now() + ALL;
    let Some(head) = read_head(stream, deadline)? else {
        return stream.write_all(&answer(
            "431 Request Header Fields Too Large",
            "too long a request\n",
            true,
        ));
    };
    let mut words = head.split(|&byte| byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let reply = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => match scrape(service) {
            Ok(text) => answer("200 OK", &text, method == b"GET"),
            Err(failure) => answer("503 Service Unavailable", &format!("{failure}\n"), true),
        },
        (b"GET" | b"HEAD", _) => answer("404 Not Found", "there is /metrics only\n", method == b"GET"),
        _ if method.is_empty() || target.is_empty() => answer("400 Bad Request", "not a request\n", true),
        _ => answer("405 Method Not Allowed", "GET only\n", true),
    };
    // in pieces, so that a scraper that takes a byte now and then meets the deadline
    for piece in reply.chunks(16 * 1024) {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.write_all(piece)?;
    }
    Ok(())
}

/// Reads a request and returns its first line; `None` for a request that is too long. The headers have no use here.
fn read_head(stream: &mut dyn ScrapeStream, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && !head.windows(2).any(|end| end == b"\n\n") {
        if head.len() > REQUEST {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut chunk)? {
            0 => break,
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(Some(line.trim_ascii_end().to_vec()))
}

fn answer(status: &str, text: &str, body: bool) -> Vec<u8> {
    let kind = if status.starts_with("200") { CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    if body {
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
