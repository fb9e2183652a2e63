//! What the rendezvous is made of: the standard library's, or loom's where all interleavings are tried.

#[cfg(not(loom))]
pub(super) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
    thread::{Thread, current},
};

#[cfg(loom)]
pub(super) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
};
#[cfg(loom)]
pub(super) use model::{Thread, current};

use std::time::Duration;

/// A number that nothing depends on but time: not loom's, for which it would be one thing more to try in all orders.
pub(super) use std::sync::atomic::AtomicU32 as Hint;

/// The CPU that this thread was on a moment ago.
#[cfg(not(loom))]
pub(super) fn cpu() -> u32 {
    nix::sched::sched_getcpu().map_or(u32::MAX, |cpu| cpu as u32)
}

/// In a model all share one, so that nobody spins: to look twice before parking is no other order of things.
#[cfg(loom)]
pub(super) fn cpu() -> u32 {
    u32::MAX
}

/// Sleeps until somebody unparks this thread, at most so long.
#[cfg(not(loom))]
pub(super) fn park(most: Option<Duration>) {
    match most {
        None => std::thread::park(),
        Some(most) => std::thread::park_timeout(most),
    }
}

/// The same; time does not pass in a model.
#[cfg(loom)]
pub(super) fn park(_: Option<Duration>) {
    current().park();
}

/// Parking as the standard library promises it and no more. Loom's own has whatever came before an unpark come before
/// whatever the other thread does next, parked or not, which hides a turn that is passed without an order.
#[cfg(loom)]
pub(super) mod model {
    use loom::sync::{Arc, Condvar, Mutex};
    use std::cell::RefCell;

    /// A thread that can park.
    #[derive(Clone)]
    pub(crate) struct Thread(Arc<(Mutex<bool>, Condvar)>);

    loom::thread_local! {
        static CURRENT: RefCell<Option<Thread>> = RefCell::new(None);
    }

    /// The thread that this is called on.
    pub(crate) fn current() -> Thread {
        CURRENT.with(|current| current.borrow_mut().get_or_insert_with(Thread::new).clone())
    }

    impl Thread {
        /// For a thread that is still to be spawned.
        pub(crate) fn new() -> Thread {
            Thread(Arc::new((Mutex::new(false), Condvar::new())))
        }

        /// From now on the thread that calls this is this one.
        pub(crate) fn begin(self) {
            CURRENT.with(|current| *current.borrow_mut() = Some(self));
        }

        pub(crate) fn unpark(&self) {
            *self.0.0.lock().expect("nobody panics") = true;
            self.0.1.notify_one();
        }

        pub(super) fn park(&self) {
            let mut token = self.0.0.lock().expect("nobody panics");
            while !*token {
                token = self.0.1.wait(token).expect("nobody panics");
            }
            *token = false;
        }
    }
}

/// A cell with loom's interface.
#[cfg(not(loom))]
#[derive(Debug)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(super) fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    pub(super) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
