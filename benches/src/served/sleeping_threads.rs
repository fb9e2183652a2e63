//! A process with many threads that sleep. Its threads are moved between cgroups, and fill `tasks`.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

/// The first argument of the program that becomes this process; the second is the number of threads.
pub const ARGUMENT: &str = "sleeping-threads";

/// The smallest stack with which std starts a thread.
const STACK: usize = 16 << 10;

/// The process. It dies with the benchmark, because its standard input ends then.
#[derive(Debug)]
pub struct SleepingThreads(Child);

impl SleepingThreads {
    /// Starts the process, and waits until it has that many threads.
    ///
    /// # Errors
    /// When the process can't be started or can't have that many threads.
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

    /// The pid, which is also the thread id of its first thread.
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

/// Runs as this process, until standard input ends.
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
