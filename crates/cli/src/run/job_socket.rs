//! The control socket of one job, by which processes of the job reach its engine.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use penfold_linux::trace::{Command, Control};
use penfold_server::address::{Address, JOB_VARIABLE};
use penfold_server::control::{ControlServer, Listener};
use penfold_server::service::Service;

use crate::serve::raised_limits;

/// The environment variable with the address of the job's engine.
pub(super) const VARIABLE: &str = JOB_VARIABLE;

/// A socket that exists before the job, so that the job's environment can have its address.
///
/// A client that connects before [`JobSocket::serve`] waits.
pub(super) struct JobSocket {
    listener: Option<UnixListener>,
    address: Address,
}

impl JobSocket {
    /// Makes an abstract socket, which vanishes with this process. Where sockets are forbidden, the job has none.
    pub(super) fn new() -> JobSocket {
        // random, so that no other process can have taken the name in advance
        let random = RandomState::new().build_hasher().finish();
        let name = format!("penfold-job-{}-{random:016x}", std::process::id());
        let address = Address::Abstract(name.into_bytes());
        let listener = address.to_socket().and_then(|socket| UnixListener::bind_addr(&socket)).ok();
        JobSocket { listener, address }
    }

    /// Puts the socket's address into the command's environment, in place of that of an engine around this one.
    pub(super) fn name_to(&self, command: &mut Command) {
        let others = std::env::vars_os().filter(|(name, _)| name != OsStr::new(VARIABLE));
        let own = self.listener.as_ref().map(|_| (VARIABLE.into(), OsString::from(self.address.to_string())));
        command.environment = Some(others.chain(own).collect());
    }

    /// Serves the socket until this process ends.
    pub(super) fn serve(self, control: Control) {
        let Some(listener) = self.listener else { return };
        let server = ControlServer::new(Service::embedded(Arc::new(control))).with_limits(raised_limits());
        let served = Listener::serve(listener, Arc::new(server));
        if let Err(error) = served {
            eprintln!("penfold: warning: no thread for the socket of the job: {error}");
        }
    }
}
