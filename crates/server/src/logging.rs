//! The daemon's own log: lines to standard error, which never hold anybody up.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait for a standard error which is slow or stopped. What is above is dropped.
const WAITING: usize = 1024;

/// Starts logging for this process, from that level upwards.
///
/// # Errors
/// What clone(2) gives when there is no more thread.
pub fn start(level: LevelFilter) -> io::Result<()> {
    let (lines, waiting) = sync_channel(WAITING);
    thread::Builder::new().name("penfold-log".to_owned()).spawn(move || drain(&waiting))?;
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        // systemd's journal has its own
        .without_time()
        // it would panic where standard error can't be written
        .log_internal_errors(false)
        .with_writer(LogWriter(lines))
        .finish();
    // a second daemon in one process, in tests, has the first one's log
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Logs to this writer at once, line by line: for a command that works for one user, who may wait for what he shows.
/// Does nothing if logging was started already.
pub fn start_plain<W: Write + 'static>(level: LevelFilter, out: fn() -> W) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .log_internal_errors(false)
        .with_writer(out)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A full disk or a closed pipe loses lines and nothing else.
fn drain(waiting: &Receiver<Vec<u8>>) {
    while let Ok(line) = waiting.recv() {
        let _ = io::stderr().write_all(&line);
    }
}

struct LogWriter(SyncSender<Vec<u8>>);

/// One line, sent when it is complete.
struct LogLine<'a>(&'a SyncSender<Vec<u8>>, Vec<u8>);

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine(&self.0, Vec::new())
    }
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_send(std::mem::take(&mut self.1));
    }
}
