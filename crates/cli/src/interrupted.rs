//! A daemon that does not answer: the signal that ends this program while it waits.

use std::process;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getpid};
use penfold_server::address::Address;
use penfold_server::connection::{Connection, no_answer};
use penfold_server::interruption::Interruption;
use penfold_server::protocol::InfoCall;

use crate::failure::{Failure, report};

/// How long a daemon may take to answer after a signal to a verb that runs a command. If it answers in time, the signal
/// reaches the command.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

static INTERRUPTION: OnceLock<Arc<Interruption>> = OnceLock::new();

/// The interruption of all waits of this program for its daemon. Without [`Interruption::set_grace`] a signal ends a wait
/// at once.
pub(crate) fn interruption() -> Result<Arc<Interruption>, Failure> {
    if let Some(there) = INTERRUPTION.get() {
        return Ok(Arc::clone(there));
    }
    let made = Interruption::new(Duration::ZERO).map_err(|error| Failure::io("signals", error))?;
    Ok(Arc::clone(INTERRUPTION.get_or_init(|| Arc::new(made))))
}

/// The signal that has ended a wait for the daemon.
pub(crate) fn ended_by() -> Option<Signal> {
    INTERRUPTION.get()?.ended_by()
}

/// The failure of a wait for the daemon that a signal ends now.
pub(crate) fn end(signal: Signal) -> Failure {
    if let Some(interruption) = INTERRUPTION.get() {
        interruption.end(signal);
    }
    no_answer("daemon")
}

/// Ends this process by a signal, as if it had never been blocked.
pub(crate) fn die(signal: Signal) -> ! {
    let mut set = SigSet::empty();
    set.add(signal);
    let _ = set.thread_unblock();
    let _ = kill(getpid(), signal);
    // the signal has a handler that returns, which no part of this program sets
    process::exit(128 + signal as i32)
}

/// A question to the daemon, on a connection of its own: does it answer at all?
#[derive(Debug)]
pub(crate) struct LifeSign {
    signal: Signal,
    until: Instant,
    answer: mpsc::Receiver<()>,
}

impl LifeSign {
    /// Asks the daemon, on a thread of its own, because this signal has come.
    pub(crate) fn ask(address: &Address, signal: Signal) -> LifeSign {
        let (answered, answer) = mpsc::sync_channel(1);
        let address = address.clone();
        thread::spawn(move || {
            // a daemon that is gone needs no more time: the program learns of its end by the open connection
            let _ = Connection::connect(&address).map(|mut connection| connection.call(&InfoCall {}));
            let _ = answered.send(());
        });
        LifeSign { signal, until: Instant::now() + GRACE, answer }
    }

    /// The time until the daemon must have answered; `None` if it has.
    pub(crate) fn left(&self) -> Option<Duration> {
        let waits = self.answer.try_recv() == Err(mpsc::TryRecvError::Empty);
        waits.then(|| self.until.saturating_duration_since(Instant::now()))
    }

    /// The signal that was the reason to ask.
    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }
}

/// Ends this process and its child, unless the daemon answers in time. The daemon traces the child, so a child of a
/// stopped daemon gets no other signal, and its end reaches this process no more.
pub(crate) fn end_with_child_unless_answered(address: Address, signal: Signal, child: Pid) {
    thread::spawn(move || {
        let life = LifeSign::ask(&address, signal);
        if life.answer.recv_timeout(GRACE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(child, Signal::SIGKILL);
            report(&end(signal));
            die(signal);
        }
    });
}
