//! The calls in progress of each user, and the quota on them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use penfold_core::ErrorKind;

use crate::failure::Failure;

/// How many calls of each user are waiting or being answered.
#[derive(Debug, Default)]
pub(super) struct UserCallCounts(Mutex<HashMap<u32, usize>>);

/// A call in progress. Drop ends it.
#[derive(Debug)]
pub(super) struct CallInProgress<'a> {
    counts: &'a UserCallCounts,
    uid: u32,
}

impl UserCallCounts {
    /// Counts a call of a user. `most` is the user's quota; `None` for the administrator.
    ///
    /// # Errors
    /// `EAGAIN` beyond the quota, as of fork(2) beyond `RLIMIT_NPROC`.
    pub(super) fn begin(&self, uid: u32, most: Option<usize>) -> Result<CallInProgress<'_>, Failure> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.get(&uid).copied().unwrap_or(0);
        if let Some(most) = most.filter(|most| own >= *most) {
            let detail =
                format!("has {most} calls in progress, which is the quota; wait until one of them ends");
            return Err(Failure::new(ErrorKind::Busy, Errno::EAGAIN, format!("uid {uid}"), detail));
        }
        counts.insert(uid, own + 1);
        Ok(CallInProgress { counts: self, uid })
    }
}

impl Drop for CallInProgress<'_> {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = counts.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                counts.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_user_are_bounded_and_no_others() {
        let counts = UserCallCounts::default();
        let begun: Vec<_> = (0..3).map(|_| counts.begin(7, Some(3)).expect("within the quota")).collect();
        let refused = counts.begin(7, Some(3)).expect_err("one too many");
        assert_eq!(refused.errno, Errno::EAGAIN);
        assert!(counts.begin(8, Some(3)).is_ok(), "another user");
        assert!(counts.begin(7, None).is_ok(), "the administrator");
        drop(begun);
        assert!(counts.begin(7, Some(3)).is_ok());
        assert!(counts.0.lock().expect("whole").is_empty());
    }
}
