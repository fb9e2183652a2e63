//! A module in memory: its description, its pointers, and calls into it.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use penfold_core::subsystem::{Css, Resource, Services};

use super::call_frame::{CallFrame, CallOutput, CallSlot, Subject};
use super::description::ModuleDescription;
use super::error::LoadError;
use super::host_services::TABLE;
use super::module_call::ModuleCall;
use super::source::{ModuleSource, OpenedModule, table};
use super::watchdog::CallRecord;
use crate::abi;

/// A module that is loaded. The drop calls its `unload` and unmaps its file.
///
/// Callbacks run one at a time, each on the thread that calls [`LoadedModule::invoke`].
pub(super) struct LoadedModule {
    /// `None` only during the drop.
    opened: Option<OpenedModule>,
    description: ModuleDescription,
    counts_cpu_time: bool,
    /// The pointer that `load` stored.
    module_data: *mut c_void,
    /// The pointers that `create` stored, by css; NULL for none.
    states: Vec<*mut c_void>,
    cell: Arc<ContextCell>,
    record: Arc<CallRecord>,
    /// The number of calls so far, modulo 2^32.
    calls: u32,
}

// SAFETY: the pointers are the module's own. The interface says that callbacks run one at a time, on any thread.
unsafe impl Send for LoadedModule {}

/// The function tables of a module.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) module: &'a abi::RawModule,
    pub(super) files: &'a [abi::RawFile],
}

/// The context that all callbacks of a module share. Its address stays the same for as long as the module is loaded.
struct ContextCell {
    context: UnsafeCell<abi::RawContext>,
    slot: CallSlot,
}

// SAFETY: only the thread that is about to run a callback writes the context, between callbacks. A thread that has
// kept a context may read its `engine`, which is never written after the load.
unsafe impl Sync for ContextCell {}
// SAFETY: as above.
unsafe impl Send for ContextCell {}

impl ContextCell {
    fn new(module: *mut c_void) -> Arc<ContextCell> {
        let cell = Arc::new(ContextCell {
            context: UnsafeCell::new(abi::RawContext {
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
        let slot = (&raw const cell.slot).cast_mut().cast();
        // SAFETY: no other thread has the context yet.
        unsafe { (*cell.context.get()).engine = slot };
        cell
    }

    /// Fills the context in for one callback.
    ///
    /// # Safety
    /// No callback of the module is under way.
    #[inline]
    unsafe fn prepare(&self, state: *mut c_void, subject: Subject) -> *mut abi::RawContext {
        let context = self.context.get();
        // SAFETY: no code reads these fields between callbacks.
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
    /// [`LoadError`]; nothing of the module is left then.
    pub(super) fn load(source: ModuleSource) -> Result<LoadedModule, LoadError> {
        let shown = source.to_string();
        let watch = |module: &str, files| {
            CallRecord::new(module, files)
                .map_err(|error| LoadError::system("start a thread", shown.as_ref(), error))
        };
        let loading = watch(&shown, Vec::new())?;
        let began = loading.begin(1, ModuleCall::LOAD);
        let loaded = LoadedModule::call_load(source, watch);
        loading.end(began);
        loaded
    }

    fn call_load(
        source: ModuleSource,
        watch: impl Fn(&str, Vec<String>) -> Result<Arc<CallRecord>, LoadError>,
    ) -> Result<LoadedModule, LoadError> {
        let shown = source.to_string();
        let opened = source.open()?;
        let description = match opened.describe() {
            Ok(description) => description,
            Err(fault) => {
                opened.unmap(&shown);
                return Err(LoadError::description(shown.as_ref(), fault));
            }
        };
        let record =
            watch(&description.name, description.files.iter().map(|file| file.name.clone()).collect())?;
        let mut module_data = ptr::null_mut();
        let load = opened.module().load;
        // SAFETY: a function of the module, called with the pointer that its type requires.
        let code = load.map_or(0, |load| unsafe { load(&raw mut module_data) });
        if code != 0 {
            opened.unmap(&description.name);
            return Err(LoadError::refused(shown.into(), code));
        }
        Ok(LoadedModule {
            counts_cpu_time: description.has_rule_on(Resource::CpuTime),
            opened: Some(opened),
            description,
            module_data,
            states: Vec::new(),
            cell: ContextCell::new(module_data),
            record,
            calls: 0,
        })
    }

    pub(super) fn description(&self) -> &ModuleDescription {
        &self.description
    }

    pub(super) fn record(&self) -> &Arc<CallRecord> {
        &self.record
    }

    pub(super) fn tables(&self) -> Tables<'_> {
        let module = self.opened.as_ref().expect("it is open until it is dropped").module();
        // SAFETY: the table and the number of its entries were checked when the module was opened.
        let files = unsafe { table(module.files, self.description.files.len()) };
        Tables { module, files }
    }

    /// Calls code of the module that is about `subject`. `services` serve it meanwhile. Returns the answer and the
    /// output.
    #[inline]
    pub(super) fn invoke<R>(
        &mut self,
        call: ModuleCall,
        subject: Subject,
        services: &mut dyn Services,
        callback: impl FnOnce(Tables<'_>, *mut abi::RawContext) -> R,
    ) -> (R, Option<Box<CallOutput>>) {
        self.calls = self.calls.wrapping_add(1);
        let state = self.state(subject.css);
        let tables = self.tables();
        let mut frame =
            CallFrame::new(services, &self.states, &self.description.name, self.counts_cpu_time, subject.css);
        // SAFETY: with `&mut self` no callback of this module is under way, and none begins before this one returns.
        let answer = unsafe {
            let context = self.cell.prepare(state, subject);
            let began = self.record.begin(self.calls, call);
            let answer = self.cell.slot.run(&mut frame, || callback(tables, context));
            self.record.end(began);
            answer
        };
        let output = frame.into_output();
        if let Some(failure) = output.as_ref().and_then(|output| output.failure.as_ref()) {
            tracing::error!(
                module = self.description.name,
                "{} failed: {failure}",
                self.record.name_of(call)
            );
        }
        (answer, output)
    }

    fn state(&self, css: Css) -> *mut c_void {
        self.states.get(css.number() as usize).copied().unwrap_or(ptr::null_mut())
    }

    /// Keeps the pointer that `create` stored for a css.
    pub(super) fn set_state(&mut self, css: Css, state: *mut c_void) {
        let index = css.number() as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, ptr::null_mut());
        }
        self.states[index] = state;
    }

    pub(super) fn clear_state(&mut self, css: Css) {
        if let Some(state) = self.states.get_mut(css.number() as usize) {
            *state = ptr::null_mut();
        }
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        let began = self.record.begin(self.calls.wrapping_add(1), ModuleCall::UNLOAD);
        if let Some(unload) = opened.module().unload {
            // SAFETY: a function of the module, called with the pointer of its `load`. No code of the module is called
            // afterwards.
            unsafe { unload(self.module_data) };
        }
        opened.unmap(&self.description.name);
        self.record.end(began);
    }
}
