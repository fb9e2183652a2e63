//! Amounts that clients share: of descriptors, and of bytes. Each user has a part, and the administrator a reserve.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::Limits;

/// The limits of a pool of one resource that clients take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimit {
    /// The most for all clients together.
    pub all: usize,
    /// How much of `all` only the administrator may have.
    pub kept_for_root: usize,
    /// The most for one user. The administrator is bound by `all` only.
    pub of_user: usize,
}

impl PoolLimit {
    /// Limits where the administrator keeps a quarter of `all`.
    pub(super) const fn new(all: usize, of_user: usize) -> PoolLimit {
        PoolLimit { all, kept_for_root: all / 4, of_user }
    }
}

/// The pools of a control socket.
#[derive(Debug)]
pub(super) struct ClientPools {
    pub(super) descriptors: Arc<ClientPool>,
    pub(super) messages: Arc<ClientPool>,
    pub(super) replies: Arc<ClientPool>,
    pub(super) events: Arc<ClientPool>,
    /// Held by the one connection that receives. A receiver must reserve descriptors before it knows how many come, so
    /// many at once would reserve all there are.
    pub(super) receiving: Mutex<()>,
}

impl ClientPools {
    pub(super) fn new(limits: &Limits) -> ClientPools {
        ClientPools {
            descriptors: ClientPool::new(limits.descriptors),
            messages: ClientPool::new(limits.large_messages),
            replies: ClientPool::new(limits.large_replies),
            events: ClientPool::new(limits.event_bytes),
            receiving: Mutex::default(),
        }
    }
}

/// The client that an amount is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    pub(super) uid: u32,
    pub(super) administrator: bool,
}

impl Holder {
    /// The daemon itself, which only the limit for all binds.
    #[cfg(test)]
    pub(super) const DAEMON: Holder = Holder { uid: 0, administrator: true };
}

/// A limit is reached: that of one user, or that of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolFull {
    User,
    All,
}

/// An amount of descriptors or bytes, of which clients take shares.
#[derive(Debug)]
pub(super) struct ClientPool {
    limit: PoolLimit,
    taken: Mutex<TakenAmounts>,
}

#[derive(Debug, Default)]
struct TakenAmounts {
    all: usize,
    of_user: HashMap<u32, usize>,
}

/// The part of a pool that one client has. Drop gives it back.
#[derive(Debug)]
pub(super) struct PoolShare {
    pool: Arc<ClientPool>,
    holder: Holder,
    amount: usize,
}

impl ClientPool {
    pub(super) fn new(limit: PoolLimit) -> Arc<ClientPool> {
        Arc::new(ClientPool { limit, taken: Mutex::default() })
    }

    /// An empty share, which can grow.
    pub(super) fn share(self: &Arc<Self>, holder: Holder) -> PoolShare {
        PoolShare { pool: Arc::clone(self), holder, amount: 0 }
    }

    /// A share of this amount.
    pub(super) fn take(self: &Arc<Self>, holder: Holder, amount: usize) -> Result<PoolShare, PoolFull> {
        let mut share = self.share(holder);
        share.grow(amount)?;
        Ok(share)
    }

    /// How much the holder could take now, and the limit that binds it.
    fn free(&self, taken: &TakenAmounts, holder: Holder) -> (usize, PoolFull) {
        if holder.administrator {
            return (self.limit.all.saturating_sub(taken.all), PoolFull::All);
        }
        let own = taken.of_user.get(&holder.uid).copied().unwrap_or(0);
        let own = self.limit.of_user.saturating_sub(own);
        let open_to_all = self.limit.all.saturating_sub(self.limit.kept_for_root).saturating_sub(taken.all);
        if own <= open_to_all { (own, PoolFull::User) } else { (open_to_all, PoolFull::All) }
    }

    fn lock(&self) -> MutexGuard<'_, TakenAmounts> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolShare {
    /// Takes more.
    ///
    /// # Errors
    /// The limit that does not allow it. The share stays as it was.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), PoolFull> {
        let mut taken = self.pool.lock();
        let (free, full) = self.pool.free(&taken, self.holder);
        if free < more {
            return Err(full);
        }
        taken.add(self.holder, more);
        self.amount += more;
        Ok(())
    }

    /// Takes as much more as there is, up to `most`. Returns the amount.
    pub(super) fn grow_up_to(&mut self, most: usize) -> usize {
        let mut taken = self.pool.lock();
        let more = self.pool.free(&taken, self.holder).0.min(most);
        taken.add(self.holder, more);
        self.amount += more;
        more
    }

    /// How much it has.
    pub(super) fn amount(&self) -> usize {
        self.amount
    }

    /// Gives back all above this amount.
    pub(super) fn shrink_to(&mut self, amount: usize) {
        let less = self.amount.saturating_sub(amount);
        self.pool.lock().remove(self.holder, less);
        self.amount -= less;
    }
}

impl Drop for PoolShare {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

impl TakenAmounts {
    fn add(&mut self, holder: Holder, more: usize) {
        self.all += more;
        if more > 0 {
            *self.of_user.entry(holder.uid).or_default() += more;
        }
    }

    fn remove(&mut self, holder: Holder, less: usize) {
        self.all -= less;
        if less > 0
            && let Some(own) = self.of_user.get_mut(&holder.uid)
        {
            *own -= less;
            if *own == 0 {
                self.of_user.remove(&holder.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_has_a_part_and_the_administrator_the_rest() {
        let pool = ClientPool::new(PoolLimit { all: 10, kept_for_root: 3, of_user: 5 });
        let user = |uid| Holder { uid, administrator: false };
        let mut first = pool.take(user(7), 4).expect("within the user's part");
        assert_eq!(first.grow(2), Err(PoolFull::User));
        let second = pool.take(user(8), 3).expect("another user");
        assert_eq!(pool.take(user(9), 1).map(drop), Err(PoolFull::All), "the rest is kept");
        let mut root = pool.share(Holder::DAEMON);
        assert_eq!(root.grow_up_to(9), 3, "all that is left");
        assert_eq!(root.grow(1), Err(PoolFull::All));
        first.shrink_to(1);
        drop(second);
        assert_eq!(first.grow_up_to(9), 3, "up to what is not kept");
        drop((first, root));
        let taken = pool.lock();
        assert_eq!((taken.all, taken.of_user.len()), (0, 0), "all is given back");
    }
}
