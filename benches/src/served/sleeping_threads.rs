//! A process with many threads that sleep: what is moved, and what fills `tasks`.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

/// What the program is called with to be the crowd, before the number of threads.
pub const ARGUMENT: &str = "sleeping-threads";

/// Only what std needs to start a thread.
const STACK: usize = 16 << 10;

/// A process that dies with this one, for its standard input ends then.
#[derive(Debug)]
pub struct SleepingThreads(Child);

impl SleepingThreads {
    /// Starts it and waits until it has that many threads.
    ///
    /// # Errors
    /// When it can't have that many.
    pub fn start(threads: usize) -> io::Result<SleepingThreads> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([ARGUMENT, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = child.stdout.take().expect("piped");
        let sleepers = SleepingThreads(child);
        ready.read_exact(&mut [0])?;
        Ok(sleepers)
    }

    /// The process, which is the number of its first thread too.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for SleepingThreads {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Is the crowd, until standard input ends.
///
/// # Errors
/// As clone(2).
pub fn be(threads: usize) -> io::Result<()> {
    for _ in 1..threads {
        thread::Builder::new().stack_size(STACK).spawn(|| {
            loop {
                thread::park();
            }
        })?;
    }
    io::stdout().write_all(b"+")?;
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
