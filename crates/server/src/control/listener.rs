//! Accepting connections, with a limit for all, one for each user, and a reserve for the administrator.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, UnixCredentials, getsockopt, shutdown, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use penfold_linux::peer::PeerProcess;

use super::limits::Limits;
use super::replies::ReplyWriter;
use super::server::ControlServer;
use super::session;
use super::spare::SpareDescriptors;
use crate::client::{Client, Trust};

/// The stack of a connection's thread in bytes. Parsing nested JSON needs most of it. Pages that are never touched cost
/// no memory.
const STACK: usize = 256 << 10;
/// The time between two lines of the log about connections that are turned away.
const LOG_PAUSE: Duration = Duration::from_secs(1);
/// The pause after accept(2) has failed, such as for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// A control socket that is being served.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    connections: Arc<Connections>,
    acceptor: JoinHandle<()>,
}

/// All connections of a socket.
#[derive(Debug, Default)]
struct Connections {
    closing: AtomicBool,
    members: Mutex<ConnectionTable>,
}

/// The open connections by number, and how many each user has.
#[derive(Debug, Default)]
struct ConnectionTable {
    streams: HashMap<u64, Arc<UnixStream>>,
    of_user: HashMap<u32, usize>,
    last: u64,
}

impl Listener {
    /// Serves a listening socket from now on, on a thread of its own.
    ///
    /// # Errors
    /// The error of dup(2), or of clone(2) when no thread can be started.
    pub fn serve(socket: UnixListener, server: Arc<ControlServer>) -> io::Result<Listener> {
        let connections = Arc::new(Connections::default());
        let accepting = (socket.try_clone()?, Arc::clone(&connections));
        let acceptor = thread::Builder::new()
            .name("penfold-accept".to_owned())
            .spawn(move || accept(&accepting.0, &accepting.1, &server))?;
        Ok(Listener { socket, connections, acceptor })
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.lock().streams.len()
    }

    /// Accepts no further connection and closes the open ones. Calls in progress are completed, but not answered.
    pub fn stop(self) {
        self.connections.closing.store(true, Ordering::Release);
        // wakes accept(2), which fails with EINVAL from now on
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        let _ = self.acceptor.join();
        for stream in self.connections.lock().streams.values() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn accept(socket: &UnixListener, connections: &Arc<Connections>, server: &Arc<ControlServer>) {
    let mut spare = SpareDescriptors::default();
    while !connections.closing.load(Ordering::Acquire) {
        let plenty = spare.fill(socket);
        // without a descriptor accept(2) fails at once, also when no client is there
        let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut waiting, PollTimeout::NONE);
        let mut accepted = socket.accept();
        let mut scarce = !plenty;
        if accepted.as_ref().is_err_and(is_scarcity) {
            spare.release();
            scarce = true;
            accepted = socket.accept();
        }
        match accepted {
            Ok((stream, _)) => receive(stream, connections, server, scarce),
            Err(_) if connections.closing.load(Ordering::Acquire) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                thread::sleep(REST);
            }
        }
    }
}

fn is_scarcity(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

/// Serves a connection, or rejects it. While descriptors are `scarce`, only the administrator is served.
fn receive(stream: UnixStream, connections: &Arc<Connections>, server: &Arc<ControlServer>, scarce: bool) {
    let Ok(peer) = getsockopt(&stream, PeerCredentials) else { return };
    let stream = Arc::new(stream);
    let administrator = || is_administrator(server.service.trust(), &stream, peer);
    let entered = if scarce && !administrator() {
        Err("the daemon has no descriptor for one more connection; try again")
    } else {
        connections.enter(&stream, peer.uid(), administrator, &server.limits)
    };
    let place = match entered {
        Ok(place) => place,
        Err(reason) => return reject(&stream, peer, reason),
    };
    let (theirs, server) = (Arc::clone(&stream), Arc::clone(server));
    let spawned =
        thread::Builder::new().name("penfold-client".to_owned()).stack_size(STACK).spawn(move || {
            session::serve(&server, &theirs, peer);
            let _ = theirs.shutdown(std::net::Shutdown::Both);
            drop(place);
        });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for a connection");
        reject(&stream, peer, "the daemon has no thread for one more connection; try again");
    }
}

/// Turns a connection away with a reason. The reason is lost if the socket can't take it at once.
fn reject(stream: &UnixStream, peer: UnixCredentials, reason: &str) {
    log_rejection(peer, reason);
    let _ = stream.set_nonblocking(true);
    let _ = ReplyWriter::new(stream, &mut Vec::new()).too_much(reason.to_owned());
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

/// Writes at most one line in a second: clients decide how often this happens, and must not fill the log.
fn log_rejection(peer: UnixCredentials, reason: &str) {
    static LAST: Mutex<(Option<Instant>, u64)> = Mutex::new((None, 0));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.0.is_some_and(|at| at.elapsed() < LOG_PAUSE) {
        last.1 += 1;
        return;
    }
    let unlogged = last.1;
    *last = (Some(Instant::now()), 0);
    drop(last);
    tracing::warn!(uid = peer.uid(), pid = peer.pid(), reason, unlogged, "connection turned away");
}

/// Whether a process is the daemon's administrator, for whom a reserve is kept. For the engine of one `penfold run`,
/// that is its user.
fn is_administrator(trust: Trust, stream: &UnixStream, peer: UnixCredentials) -> bool {
    match trust {
        Trust::Nobody => peer.uid() == geteuid().as_raw(),
        trust @ Trust::Owner(_) => {
            let process = PeerProcess::of(stream, peer.pid());
            Client::connected(trust, process, peer.uid(), peer.gid(), Some(Vec::new())).caller.privileged
        }
    }
}

impl Connections {
    fn lock(&self) -> std::sync::MutexGuard<'_, ConnectionTable> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection its place. `administrator` is called only where the limit of every user is reached.
    fn enter(
        self: &Arc<Self>,
        stream: &Arc<UnixStream>,
        uid: u32,
        administrator: impl Fn() -> bool,
        limits: &Limits,
    ) -> Result<ConnectionSlot, &'static str> {
        let mut members = self.lock();
        let all = members.streams.len();
        let own = members.of_user.get(&uid).copied().unwrap_or(0);
        let open_to_all = limits.connections.saturating_sub(limits.kept_for_root);
        if all >= limits.connections || (all >= open_to_all && !administrator()) {
            return Err("too many connections to the daemon; try again");
        }
        if own >= limits.connections_of_user && !administrator() {
            return Err("too many connections of this user to the daemon; close some");
        }
        *members.of_user.entry(uid).or_default() += 1;
        members.last += 1;
        let number = members.last;
        members.streams.insert(number, Arc::clone(stream));
        Ok(ConnectionSlot { connections: Arc::clone(self), number, uid })
    }
}

/// A connection's entry among all. Drop removes the entry.
#[derive(Debug)]
struct ConnectionSlot {
    connections: Arc<Connections>,
    number: u64,
    uid: u32,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut members = self.connections.lock();
        members.streams.remove(&self.number);
        if let Some(own) = members.of_user.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                members.of_user.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_by_user_and_reserved_for_root() {
        let limits = Limits { connections: 6, kept_for_root: 2, connections_of_user: 3, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let (stream, _other) = UnixStream::pair().expect("a pair");
        let stream = Arc::new(stream);
        let enter = |uid| connections.enter(&stream, uid, || uid == 0, &limits);
        let mut inside: Vec<ConnectionSlot> = (0..3).map(|_| enter(7).expect("within its limit")).collect();
        assert!(enter(7).is_err(), "a fourth of one user");
        inside.push(enter(8).expect("another user"));
        assert!(enter(9).is_err(), "the rest is root's");
        inside.extend((0..2).map(|_| enter(0).expect("kept for root")));
        assert!(enter(0).is_err(), "all are taken");
        inside.clear();
        assert!(connections.lock().of_user.is_empty() && connections.lock().streams.is_empty());
        assert!(enter(7).is_ok());
    }
}
