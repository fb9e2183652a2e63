//! One connection, on a thread of its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::UnixCredentials;
use penfold_core::ErrorKind;
use penfold_linux::peer::{self, PeerProcess};

use super::context::CallContext;
use super::dispatch;
use super::messages::{MessageReader, ReceiveError};
use super::replies::ReplyWriter;
use super::server::ControlServer;
use crate::client::Client;
use crate::failure::Failure;
use crate::service::Service;
use crate::turns::QueueOwner;

/// Answers calls until the client closes the connection, breaks the rules of the protocol, or takes too long.
pub(super) fn serve(server: &ControlServer, stream: &UnixStream, peer: UnixCredentials) {
    let mut buffer = Vec::new();
    let service = server.service.queued_as(QueueOwner::User(peer.uid()));
    if stream.set_write_timeout(Some(server.limits.patience)).is_err() {
        return;
    }
    let process = PeerProcess::of(stream, peer.pid());
    if let Err(failure) = admit(&service, &process) {
        let _ = ReplyWriter::new(stream, &mut buffer).refuse(&failure);
        return;
    }
    let groups = peer::groups(stream);
    let client = Client::connected(server.service.trust(), process, peer.uid(), peer.gid(), groups);
    let holder = server.holder(&client);
    let mut reader = MessageReader::new(stream, server.limits, &server.pools, holder);
    loop {
        let next = reader.next();
        let mut replies = ReplyWriter::new(stream, &mut buffer).within(server.pools.replies.share(holder));
        match next {
            Ok(Some((message, files))) => {
                let files = files.into_iter().map(Arc::new).collect();
                let context = CallContext { server, service: &service, client: &client, files };
                // The job's engine judges a client by the cgroup of its number. A client can end after this look, and
                // its number can only be another's in the job after a whole round of numbers.
                if server.service.confines()
                    && let Err(failure) = client.must_live()
                {
                    let _ = replies.refuse(&failure);
                    return;
                }
                if let Err(error) = dispatch::answer(&context, message, &mut replies) {
                    return log_closed(&client, &error);
                }
            }
            Ok(None) => return,
            Err(ReceiveError::TooMuch(what)) => {
                let _ = replies.too_much(what);
                return;
            }
            Err(ReceiveError::Broken(error)) => return log_closed(&client, &error),
        }
    }
}

fn log_closed(client: &Client, error: &io::Error) {
    tracing::debug!(uid = client.caller.uid, pid = client.caller.task.0, %error, "connection closed");
}

/// Checks that the client may use this socket. The engine of one `penfold run` serves only processes of its job.
///
/// # Errors
/// `EACCES` for a process outside of the job; `ESHUTDOWN` when the daemon is ending.
fn admit(service: &Service, process: &PeerProcess) -> Result<(), Failure> {
    if service.host().is_ok() {
        return Ok(());
    }
    let inside = service.with_snapshot(|_, host| {
        let mut inside = host.task(process.pid()).is_some();
        host.for_each_thread(process.pid(), &mut |_| inside = true);
        // a number that was looked up is the client's if it lives after the look
        inside && process.lives()
    })?;
    if inside {
        return Ok(());
    }
    let (subject, detail) = ("the engine of one penfold run", "is only for processes in it");
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EACCES, subject, detail))
}
