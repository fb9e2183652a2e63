//! The method `Watch`: events, until the client closes the connection.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::context::CallContext;
use super::path::must_list;
use super::replies::ReplyWriter;
use super::watcher::{QueuedEvent, Watcher};
use crate::failure::Failure;
use crate::protocol::{WatchCall, WatchReply};

pub(super) fn watch(
    context: &CallContext<'_>,
    call: WatchCall,
    replies: &mut ReplyWriter<'_>,
) -> io::Result<()> {
    if !replies.more {
        return replies.standard_error("ExpectedMore", "method", "org.penfold.Control.Watch");
    }
    match subscribe(context, call) {
        Ok(watcher) => forward(&watcher, replies),
        Err(failure) => replies.refuse(&failure),
    }
}

fn subscribe(context: &CallContext<'_>, call: WatchCall) -> Result<Arc<Watcher>, Failure> {
    let top = call.cgroup.map(|address| {
        context.look_at(&address, |engine, caller, cgroup| {
            must_list(engine, caller, cgroup)?;
            Ok(cgroup)
        })
    });
    let server = context.server;
    let client = (context.client.caller.clone(), server.holder(context.client));
    let watcher = Watcher::new(client, top.transpose()?, &server.limits, &server.pools)?;
    server.hub.subscribe(watcher)
}

/// Sends events until the client closes the connection. A call that the client sends meanwhile is not read.
fn forward(watcher: &Watcher, replies: &mut ReplyWriter<'_>) -> io::Result<()> {
    replies.continue_with(&WatchReply { event: None, lost: None })?;
    loop {
        let hung_up = {
            let mut fds = [
                PollFd::new(replies.stream().as_fd(), PollFlags::empty()),
                PollFd::new(watcher.wakeup.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                polled => polled?,
            };
            fds[0].any().unwrap_or(true)
        };
        if hung_up {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let _ = watcher.wakeup.read();
        loop {
            let (event, lost) = watcher.next();
            if event.is_none() && lost == 0 {
                break;
            }
            send(event.as_deref(), lost, replies)?;
        }
    }
}

/// Sends a [`WatchReply`]. The event's text is sent from where it waits, so that a client that does not read makes the
/// daemon keep no copy.
fn send(event: Option<&QueuedEvent>, lost: i64, replies: &mut ReplyWriter<'_>) -> io::Result<()> {
    let Some(event) = event else {
        return replies.continue_with(&WatchReply { event: None, lost: Some(lost) });
    };
    let lost = if lost > 0 { format!(",\"lost\":{lost}") } else { String::new() };
    let end = format!("{lost}}},\"continues\":true}}\0");
    replies.continue_with_parts(&[b"{\"parameters\":{\"event\":", event.json().as_bytes(), end.as_bytes()])
}
