//! One connection, on a thread of its own.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::UnixCredentials;
use penfold_core::{ErrorKind, Tid};
use penfold_linux::peer;

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
    if let Err(failure) = admit(&service, peer.pid()) {
        let _ = ReplyWriter::new(stream, &mut buffer).refuse(&failure);
        return;
    }
    let groups = peer::groups(stream);
    let client = Client::connected(server.service.trust(), peer.pid(), peer.uid(), peer.gid(), groups);
    let holder = server.holder(&client);
    let mut reader = MessageReader::new(stream, server.limits, &server.pools, holder);
    loop {
        let next = reader.next();
        let mut replies = ReplyWriter::new(stream, &mut buffer).within(server.pools.replies.share(holder));
        match next {
            Ok(Some((message, files))) => {
                let files = files.into_iter().map(Arc::new).collect();
                let context = CallContext { server, service: &service, client: &client, files };
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
fn admit(service: &Service, pid: i32) -> Result<(), Failure> {
    if service.host().is_ok() {
        return Ok(());
    }
    let inside = service.with_snapshot(|_, host| {
        let mut inside = host.task(Tid(pid)).is_some();
        host.for_each_thread(Tid(pid), &mut |_| inside = true);
        inside
    })?;
    if inside {
        return Ok(());
    }
    let (subject, detail) = ("the engine of one penfold run", "is only for processes in it");
    Err(Failure::new(ErrorKind::NotPermitted, Errno::EACCES, subject, detail))
}
