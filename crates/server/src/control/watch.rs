//! The method `Watch`: events, until the client closes the connection.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::context::CallContext;
use super::hub::Watcher;
use super::path::must_list;
use super::replies::ReplyWriter;
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
    let caller = context.client.caller.clone();
    context.server.hub.subscribe(caller, top.transpose()?, context.server.limits.events)
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
            let lost = Some(lost).filter(|lost| *lost > 0);
            if event.is_none() && lost.is_none() {
                break;
            }
            replies.continue_with(&WatchReply { event, lost })?;
        }
    }
}
