//! A process with many threads that sleep. The benchmarks move such threads, and fill a `tasks` with them.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

/// The argument that makes this program a process of sleeping threads; the number of threads follows.
pub const ARGUMENT: &str = "sleeping-threads";

/// Bytes of a stack: no more than std needs to start a thread.
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

    /// The pid of the process, which is also the tid of its first thread.
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

/// Runs `threads` sleeping threads, this one included, until standard input ends.
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
