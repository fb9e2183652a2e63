//! The module's side of the boundary: what lives on its own thread.

use std::ffi::{c_int, c_void};
use std::ptr;

use penfold_core::{Css, Error, Services};

use super::host_services::TABLE;
use super::rendezvous::Rendezvous;
use crate::abi;

/// A thing to run on the module's thread.
pub(super) type Job = SendPointer<dyn FnMut(&mut Guest<'_>)>;
/// A thing to run on the engine's thread meanwhile.
pub(super) type Request = SendPointer<dyn FnMut(&mut dyn Services)>;
pub(super) type Meeting = Rendezvous<Job, Request>;

/// A pointer to something on the stack of a thread that waits for the one that gets it.
pub(super) struct SendPointer<T: ?Sized>(pub(super) *mut T);

impl<T: ?Sized> Clone for SendPointer<T> {
    fn clone(&self) -> SendPointer<T> {
        *self
    }
}

impl<T: ?Sized> Copy for SendPointer<T> {}

// SAFETY: the thread that made it waits until the one that got it is done with it.
unsafe impl<T: ?Sized> Send for SendPointer<T> {}

/// A module that is loaded: its description, what it has made, and the way back to the engine.
pub(super) struct Guest<'a> {
    meeting: &'a Meeting,
    module: &'static abi::Module,
    /// What `load` gave.
    own: *mut c_void,
    /// What `create` gave, by css.
    states: Vec<Option<*mut c_void>>,
    counts_cpu_time: bool,
}

/// One callback under way. The `engine` of its context points to it.
pub(super) struct Frame<'a> {
    meeting: &'a Meeting,
    states: &'a [Option<*mut c_void>],
    pub(super) name: &'a str,
    pub(super) counts_cpu_time: bool,
    pub(super) said: Said,
}

/// What a callback has said while it ran.
#[derive(Default)]
pub(super) struct Said {
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
pub(super) struct About {
    pub(super) css: u32,
    pub(super) file: u32,
    pub(super) private: u64,
}

impl About {
    /// About a cgroup, and none of its files.
    pub(super) fn css(css: Css) -> About {
        About { css: css.number(), file: 0, private: 0 }
    }
}

impl Frame<'_> {
    /// Has the engine's thread do something, and waits for it.
    pub(super) fn ask<R>(&mut self, request: impl FnOnce(&mut dyn Services) -> R) -> R {
        let mut request = Some(request);
        let mut answer = None;
        let mut run = |services: &mut dyn Services| {
            answer = request.take().map(|request| request(services));
        };
        let run: *mut (dyn FnMut(&mut dyn Services) + '_) = &raw mut run;
        #[allow(clippy::transmute_ptr_to_ptr)] // a cast can't change a lifetime
        // SAFETY: only the lifetime changes, and `ask` below returns when the engine is done with it.
        let run: *mut (dyn FnMut(&mut dyn Services) + 'static) = unsafe { std::mem::transmute(run) };
        self.meeting.ask(SendPointer(run));
        answer.expect("the engine has run it")
    }

    pub(super) fn state(&self, css: u32) -> *mut c_void {
        self.states.get(css as usize).copied().flatten().unwrap_or(ptr::null_mut())
    }
}

impl<'a> Guest<'a> {
    /// Calls the module's `load`.
    ///
    /// # Errors
    /// Its negative errno.
    pub(super) fn load(
        meeting: &'a Meeting,
        module: &'static abi::Module,
        counts_cpu_time: bool,
    ) -> Result<Guest<'a>, c_int> {
        let mut own = ptr::null_mut();
        if let Some(load) = module.load {
            // SAFETY: a function of the module, with the pointer that its type asks for.
            let code = unsafe { load(&raw mut own) };
            if code != 0 {
                return Err(code);
            }
        }
        Ok(Guest { meeting, module, own, states: Vec::new(), counts_cpu_time })
    }

    /// Calls the module's `unload`: nothing of it is called afterwards.
    pub(super) fn unload(self) {
        if let Some(unload) = self.module.unload {
            // SAFETY: a function of the module, with what its `load` gave.
            unsafe { unload(self.own) };
        }
    }

    pub(super) fn module(&self) -> &'static abi::Module {
        self.module
    }

    /// Calls a callback.
    pub(super) fn invoke<R>(
        &mut self,
        name: &str,
        about: About,
        callback: impl FnOnce(&abi::Module, *mut abi::Context) -> R,
    ) -> (R, Said) {
        let mut frame = Frame {
            meeting: self.meeting,
            states: &self.states,
            name,
            counts_cpu_time: self.counts_cpu_time,
            said: Said::default(),
        };
        let mut context = abi::Context {
            services: &raw const TABLE,
            state: frame.state(about.css),
            engine: (&raw mut frame).cast(),
            module: self.own,
            css: about.css,
            file: about.file,
            private_value: about.private,
        };
        let answer = callback(self.module, &raw mut context);
        (answer, frame.said)
    }

    pub(super) fn keep(&mut self, css: u32, state: *mut c_void) {
        let index = css as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, None);
        }
        self.states[index] = Some(state);
    }

    pub(super) fn forget(&mut self, css: u32) {
        if let Some(state) = self.states.get_mut(css as usize) {
            *state = None;
        }
    }
}
