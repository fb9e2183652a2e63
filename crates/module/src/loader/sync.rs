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
    thread::{Thread, current},
};

use std::time::Duration;

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
    loom::thread::park();
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
