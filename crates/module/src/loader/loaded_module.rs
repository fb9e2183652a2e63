//! A module in memory: its description, what it has made, and calls of it.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use penfold_core::subsystem::{Css, Resource, Services};

use super::call::Call;
use super::call_frame::{CallFrame, CallOutput, CallSlot, Subject};
use super::error::LoadError;
use super::host_services::TABLE;
use super::info::Info;
use super::source::{Opened, Source, table};
use super::watchdog::CallRecord;
use crate::abi;

/// A module that is loaded. When it is dropped its `unload` is called and its file is unmapped.
///
/// Callbacks run on whichever thread calls [`LoadedModule::invoke`], one at a time.
pub(super) struct LoadedModule {
    /// `None` only while it is dropped.
    opened: Option<Opened>,
    info: Info,
    counts_cpu_time: bool,
    /// What `load` gave.
    own: *mut c_void,
    /// What `create` gave, by css; NULL for none.
    states: Vec<*mut c_void>,
    port: Arc<Port>,
    record: Arc<CallRecord>,
    /// How many calls there were.
    calls: u32,
}

// SAFETY: the pointers are the module's own. The interface says that its callbacks run one at a time, on any thread.
unsafe impl Send for LoadedModule {}

/// The functions of a module.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) module: &'a abi::Module,
    pub(super) files: &'a [abi::File],
}

/// What callbacks point to. It stays where it is for as long as the module is loaded.
struct Port {
    context: UnsafeCell<abi::Context>,
    slot: CallSlot,
}

// SAFETY: the context is written between callbacks only, by the thread that is about to run one. A thread that has kept a
// context may read its `engine`, which is never written after the load.
unsafe impl Sync for Port {}
// SAFETY: as above.
unsafe impl Send for Port {}

impl Port {
    fn new(module: *mut c_void) -> Arc<Port> {
        let port = Arc::new(Port {
            context: UnsafeCell::new(abi::Context {
                services: &raw const TABLE,
                engine: ptr::null_mut(),
                module,
                state: ptr::null_mut(),
                css: abi::NO_CSS,
                file: 0,
                private_value: 0,
            }),
            slot: CallSlot::new(),
        });
        let slot = (&raw const port.slot).cast_mut().cast();
        // SAFETY: no other thread has it yet.
        unsafe { (*port.context.get()).engine = slot };
        port
    }

    /// Makes the context that of one callback.
    ///
    /// # Safety
    /// No callback of the module is under way.
    #[inline]
    unsafe fn prepare(&self, state: *mut c_void, subject: Subject) -> *mut abi::Context {
        let context = self.context.get();
        // SAFETY: nobody reads these fields between callbacks.
        unsafe {
            (*context).state = state;
            (*context).css = subject.css.number();
            (*context).file = subject.file;
            (*context).private_value = subject.private;
        }
        context
    }
}

impl LoadedModule {
    /// Maps a module and calls its `load`.
    ///
    /// # Errors
    /// What is wrong with it. Then nothing of it is left.
    pub(super) fn load(source: Source) -> Result<LoadedModule, LoadError> {
        let shown = source.to_string();
        let watch = |module: &str, files| {
            CallRecord::new(module, files)
                .map_err(|error| LoadError::system("start a thread", shown.as_ref(), error))
        };
        let loading = watch(&shown, Vec::new())?;
        let began = loading.begin(1, Call::LOAD);
        let loaded = LoadedModule::call_load(source, watch);
        loading.end(began);
        loaded
    }

    fn call_load(
        source: Source,
        watch: impl Fn(&str, Vec<String>) -> Result<Arc<CallRecord>, LoadError>,
    ) -> Result<LoadedModule, LoadError> {
        let shown = source.to_string();
        let opened = source.open()?;
        let info = match opened.describe() {
            Ok(info) => info,
            Err(fault) => {
                opened.unmap(&shown);
                return Err(LoadError::description(shown.as_ref(), fault));
            }
        };
        let record = watch(&info.name, info.files.iter().map(|file| file.name.clone()).collect())?;
        let mut own = ptr::null_mut();
        let load = opened.module().load;
        // SAFETY: a function of the module, with the pointer that its type asks for.
        let code = load.map_or(0, |load| unsafe { load(&raw mut own) });
        if code != 0 {
            opened.unmap(&info.name);
            return Err(LoadError::refused(shown.into(), code));
        }
        Ok(LoadedModule {
            counts_cpu_time: info.counts(Resource::CpuTime),
            opened: Some(opened),
            info,
            own,
            states: Vec::new(),
            port: Port::new(own),
            record,
            calls: 0,
        })
    }

    pub(super) fn info(&self) -> &Info {
        &self.info
    }

    pub(super) fn record(&self) -> &Arc<CallRecord> {
        &self.record
    }

    pub(super) fn tables(&self) -> Tables<'_> {
        let module = self.opened.as_ref().expect("it is open until it is dropped").module();
        // SAFETY: the table and the number of its entries were checked when the module was opened.
        let files = unsafe { table(module.files, self.info.files.len()) };
        Tables { module, files }
    }

    /// Calls code of the module that is about `subject`. What it asks for meanwhile is answered by `services`.
    #[inline]
    pub(super) fn invoke<R>(
        &mut self,
        call: Call,
        subject: Subject,
        services: &mut dyn Services,
        callback: impl FnOnce(Tables<'_>, *mut abi::Context) -> R,
    ) -> (R, Option<Box<CallOutput>>) {
        self.calls = self.calls.wrapping_add(1);
        let state = self.state(subject.css);
        let tables = self.tables();
        let mut frame =
            CallFrame::new(services, &self.states, &self.info.name, self.counts_cpu_time, subject.css);
        // SAFETY: `&mut self`: no callback of this module is under way, and none begins before this one returns.
        let answer = unsafe {
            let context = self.port.prepare(state, subject);
            let began = self.record.begin(self.calls, call);
            let answer = self.port.slot.run(&mut frame, || callback(tables, context));
            self.record.end(began);
            answer
        };
        let output = frame.into_output();
        if let Some(failure) = output.as_ref().and_then(|output| output.failure.as_ref()) {
            tracing::error!(module = self.info.name, "{} failed: {failure}", self.record.name_of(call));
        }
        (answer, output)
    }

    fn state(&self, css: Css) -> *mut c_void {
        self.states.get(css.number() as usize).copied().unwrap_or(ptr::null_mut())
    }

    /// Remembers what `create` gave.
    pub(super) fn keep(&mut self, css: Css, state: *mut c_void) {
        let index = css.number() as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, ptr::null_mut());
        }
        self.states[index] = state;
    }

    pub(super) fn forget(&mut self, css: Css) {
        if let Some(state) = self.states.get_mut(css.number() as usize) {
            *state = ptr::null_mut();
        }
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        let began = self.record.begin(self.calls.wrapping_add(1), Call::UNLOAD);
        if let Some(unload) = opened.module().unload {
            // SAFETY: a function of the module, with what its `load` gave. Nothing of the module is called afterwards.
            unsafe { unload(self.own) };
        }
        opened.unmap(&self.info.name);
        self.record.end(began);
    }
}
