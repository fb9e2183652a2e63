//! One callback under way, and how the services find it.
//!
//! A module gets a [`abi::RawContext`], whose `engine` points to the module's [`CallSlot`]. Slot and context live as
//! long as the module. The slot points to the [`CallFrame`] only while a callback runs, and only on the thread that
//! runs it. A service that is called at another time or on another thread finds no frame, and refuses.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use penfold_core::{
    Error,
    subsystem::{Css, Services},
};

/// The mark of no thread.
const NOBODY: usize = 0;

/// The data that services of one callback work on, and the output of the callback.
pub(super) struct CallFrame<'a> {
    pub(super) services: &'a mut dyn Services,
    /// The pointers that `create` stored, by css.
    states: &'a [*mut c_void],
    /// The module's name.
    pub(super) name: &'a str,
    pub(super) counts_cpu_time: bool,
    /// The css that the callback is about.
    pub(super) css: Css,
    /// Made at first use: most callbacks have no output.
    output: Option<Box<CallOutput>>,
}

/// The output of a callback.
#[derive(Default)]
pub(super) struct CallOutput {
    /// The content of a file that is read as text.
    pub(super) text: Vec<u8>,
    /// The lines of a file that is read as a map: key and value.
    pub(super) lines: Vec<(Vec<u8>, u64)>,
    /// The reason for the error that the callback returns.
    pub(super) explanation: Option<String>,
    /// A failure that the author did not intend, such as a panic.
    pub(super) failure: Option<String>,
    /// The last error of a service.
    pub(super) error: Option<Error>,
}

/// The cgroup and the control file that a callback is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) css: Css,
    pub(super) file: u32,
    pub(super) private: u64,
}

impl Subject {
    /// A cgroup without a control file.
    pub(super) fn css(css: Css) -> Subject {
        Subject { css, file: 0, private: 0 }
    }
}

impl<'a> CallFrame<'a> {
    pub(super) fn new(
        services: &'a mut dyn Services,
        states: &'a [*mut c_void],
        name: &'a str,
        counts_cpu_time: bool,
        css: Css,
    ) -> CallFrame<'a> {
        CallFrame { services, states, name, counts_cpu_time, css, output: None }
    }

    pub(super) fn output(&mut self) -> &mut CallOutput {
        self.output.get_or_insert_default()
    }

    pub(super) fn state(&self, css: u32) -> *mut c_void {
        self.states.get(css as usize).copied().unwrap_or(ptr::null_mut())
    }

    pub(super) fn into_output(self) -> Option<Box<CallOutput>> {
        self.output
    }
}

/// The place where services find the frame of the callback under way.
pub(super) struct CallSlot {
    /// The mark of the thread that runs a callback.
    thread: AtomicUsize,
    frame: Cell<*mut CallFrame<'static>>,
}

// SAFETY: a thread touches `frame` only where `thread` is its own mark, or where it is about to run a callback.
// Callbacks of a module run one at a time, and the means that makes them do so orders these accesses.
unsafe impl Sync for CallSlot {}
// SAFETY: as above.
unsafe impl Send for CallSlot {}

impl CallSlot {
    pub(super) fn new() -> CallSlot {
        CallSlot { thread: AtomicUsize::new(NOBODY), frame: Cell::new(ptr::null_mut()) }
    }

    /// Runs a callback, whose services find `frame` here.
    ///
    /// # Safety
    /// No other callback of the module runs meanwhile on any thread.
    #[inline]
    pub(super) unsafe fn run<R>(&self, frame: &mut CallFrame<'_>, callback: impl FnOnce() -> R) -> R {
        let _under_way = UnderWay(self);
        self.frame.set((&raw mut *frame).cast());
        self.thread.store(this_thread(), Ordering::Relaxed);
        callback()
    }

    /// The frame of the callback that this thread runs; `None` if this thread runs none.
    ///
    /// # Safety
    /// The borrow ends before the callback returns, and before the next call of this function.
    pub(super) unsafe fn frame<'a>(&self) -> Option<&'a mut CallFrame<'a>> {
        if self.thread.load(Ordering::Relaxed) != this_thread() {
            return None;
        }
        // SAFETY: this thread is inside `run`, which keeps the frame; the caller has no other borrow of it.
        unsafe { self.frame.get().cast::<CallFrame<'a>>().as_mut() }
    }
}

/// A callback under way. The drop removes the frame from the slot, also after a panic.
struct UnderWay<'a>(&'a CallSlot);

impl Drop for UnderWay<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.thread.store(NOBODY, Ordering::Relaxed);
        self.0.frame.set(ptr::null_mut());
    }
}

/// A number that no other living thread has: the address of a thread-local, which costs next to nothing to find.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| ptr::from_ref(mark).addr())
}
