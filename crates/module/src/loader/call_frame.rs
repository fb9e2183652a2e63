//! One callback under way, and how the services find it.
//!
//! A module gets a [`abi::RawContext`], whose `engine` leads to the module's [`CallSlot`]. Slot and context live as long as the
//! module. The slot leads to the [`CallFrame`] only while a callback runs, and only on the thread that runs it: a service
//! that is called at another time or on another thread finds no frame, and refuses.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use penfold_core::{Css, Error, Services};

/// No thread.
const NOBODY: usize = 0;

/// What a callback can reach, and what it has said.
pub(super) struct CallFrame<'a> {
    pub(super) services: &'a mut dyn Services,
    /// What `create` gave, by css.
    states: &'a [*mut c_void],
    /// The module's.
    pub(super) name: &'a str,
    pub(super) counts_cpu_time: bool,
    /// The css that the callback is about.
    pub(super) css: Css,
    /// Most callbacks say nothing.
    output: Option<Box<CallOutput>>,
}

/// What a callback has said while it ran.
#[derive(Default)]
pub(super) struct CallOutput {
    /// What is read of a file.
    pub(super) text: Vec<u8>,
    /// Lines of a file, as key and value.
    pub(super) lines: Vec<(Vec<u8>, u64)>,
    /// Why it returns an error.
    pub(super) explanation: Option<String>,
    /// How it failed without meaning to.
    pub(super) failure: Option<String>,
    /// The last error of a service.
    pub(super) error: Option<Error>,
}

/// What a callback is about, besides its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) css: Css,
    pub(super) file: u32,
    pub(super) private: u64,
}

impl Subject {
    /// A cgroup, and none of its files.
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

/// Where the frame of the callback under way is.
pub(super) struct CallSlot {
    /// The mark of the thread that runs a callback.
    thread: AtomicUsize,
    frame: Cell<*mut CallFrame<'static>>,
}

// SAFETY: a thread touches `frame` only where `thread` is its own mark, or where it is about to run a callback. Callbacks of
// a module run one at a time, and what makes them so orders them.
unsafe impl Sync for CallSlot {}
// SAFETY: as above.
unsafe impl Send for CallSlot {}

impl CallSlot {
    pub(super) fn new() -> CallSlot {
        CallSlot { thread: AtomicUsize::new(NOBODY), frame: Cell::new(ptr::null_mut()) }
    }

    /// Runs a callback that finds `frame` here.
    ///
    /// # Safety
    /// No other callback of the module runs meanwhile, on any thread.
    #[inline]
    pub(super) unsafe fn run<R>(&self, frame: &mut CallFrame<'_>, callback: impl FnOnce() -> R) -> R {
        let _under_way = UnderWay(self);
        self.frame.set((&raw mut *frame).cast());
        self.thread.store(this_thread(), Ordering::Relaxed);
        callback()
    }

    /// The frame of the callback that this thread runs.
    ///
    /// # Safety
    /// The borrow ends before the callback does, and before the frame is asked for again.
    pub(super) unsafe fn frame<'a>(&self) -> Option<&'a mut CallFrame<'a>> {
        if self.thread.load(Ordering::Relaxed) != this_thread() {
            return None;
        }
        // SAFETY: this thread is inside `run`, which keeps the frame; the caller has no other borrow of it.
        unsafe { self.frame.get().cast::<CallFrame<'a>>().as_mut() }
    }
}

/// A callback under way. Its end takes the frame away, a panic too.
struct UnderWay<'a>(&'a CallSlot);

impl Drop for UnderWay<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.thread.store(NOBODY, Ordering::Relaxed);
        self.0.frame.set(ptr::null_mut());
    }
}

/// A number that no other living thread has, and that costs nothing to find.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| ptr::from_ref(mark).addr())
}
