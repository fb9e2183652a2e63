//! A member: a real process that sleeps until it gets a request.

use super::protocol::{MemberReply, MemberRequest};
use crate::ops::errno;
use crate::target::Res;
use nix::errno::Errno;
use penfold_testkit::retry;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The time after which an expected death counts as missing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A child process of the tester, with the pipe of its requests.
#[derive(Debug)]
pub(super) struct MemberProcess {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl MemberProcess {
    /// Starts the helper program.
    pub(super) fn start(helper: &Path) -> Res<Self> {
        let mut child = Command::new(helper)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(errno)?;
        let requests = child.stdin.take().expect("stdin is a pipe");
        let replies = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Ok(Self { child, requests, replies })
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Sends a request and waits for the reply. `ESRCH` for a dead member.
    pub(super) fn ask(&mut self, request: &MemberRequest) -> Res<MemberReply> {
        let mut line = serde_json::to_string(request).expect("a request is plain data");
        line.push('\n');
        self.requests.write_all(line.as_bytes()).map_err(|_| Errno::ESRCH)?;
        line.clear();
        self.replies.read_line(&mut line).map_err(|_| Errno::ESRCH)?;
        match serde_json::from_str(&line).map_err(|_| Errno::ESRCH)? {
            MemberReply::Failed(raw) => Err(Errno::from_raw(raw)),
            reply => Ok(reply),
        }
    }

    /// Reaps a process that was killed.
    pub(super) fn reap(&mut self) -> Res<()> {
        within_patience(|| matches!(self.child.try_wait(), Ok(Some(_))), Errno::ECHILD)
    }
}

impl Drop for MemberProcess {
    fn drop(&mut self) {
        // this ends although the group may be frozen: members are dropped after a thaw
        let _ = self.child.kill();
        let _ = self.reap();
    }
}

/// Waits for a condition that should be true within some milliseconds.
pub(super) fn within_patience(mut happened: impl FnMut() -> bool, otherwise: Errno) -> Res<()> {
    retry(PATIENCE, || if happened() { Ok(()) } else { Err(otherwise) })
}
