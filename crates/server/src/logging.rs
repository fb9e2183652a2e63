//! The daemon's own log: lines to standard error. The thread that logs never waits for them to be written.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for a standard error that is slow or stopped. Further lines are dropped.
const WAITING: usize = 1024;

/// Starts logging for this process, from `level` upwards, on a thread of its own. Does nothing if logging was started
/// already.
///
/// # Errors
/// The error of clone(2) when no thread can be started.
pub fn start(level: LevelFilter) -> io::Result<()> {
    let (lines, waiting) = sync_channel(WAITING);
    thread::Builder::new().name("penfold-log".to_owned()).spawn(move || drain(&waiting))?;
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        // systemd's journal adds the time
        .without_time()
        // the subscriber would report its error to standard error, and panic where that can't be written
        .log_internal_errors(false)
        .with_writer(LogWriter(lines))
        .finish();
    // fails for a second daemon in one process, in tests: the log of the first serves both
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Starts logging to `out` without a thread: a line is written before the program goes on. This is for a command of
/// one user, which may wait for its own output. Does nothing if logging was started already.
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

/// Writes lines to standard error. A full disk or a closed pipe loses lines and has no other effect.
fn drain(waiting: &Receiver<Vec<u8>>) {
    while let Ok(line) = waiting.recv() {
        let _ = io::stderr().write_all(&line);
    }
}

struct LogWriter(SyncSender<Vec<u8>>);

/// One line of the log. Drop sends it to the thread that writes, or drops it if too many lines wait.
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
