//! The origin of a module: a file, or a description in this program.

use std::fmt;
use std::slice;

use super::description::{HEAD, ModuleDescription, check_head, check_tables};
use super::error::LoadError;
use super::fault::Fault;
use super::module_file::ModuleFile;
use super::open_files::OpenModuleFile;
use super::private_copy::PrivateCopy;
use super::truncation;
use crate::abi;

/// A file that was read, or a description that is part of this program.
pub(super) enum ModuleSource {
    File(ModuleFile),
    Static(&'static abi::RawModule),
}

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleSource::File(file) => file.path().display().fmt(f),
            ModuleSource::Static(_) => f.write_str("this program"),
        }
    }
}

/// A module whose description is in memory.
pub(super) struct OpenedModule {
    module: *const abi::RawModule,
    mapped: Option<MappedCopy>,
}

struct MappedCopy {
    copy: PrivateCopy,
    /// Dropped after the copy is unmapped: until then the file can't be loaded again.
    _file: OpenModuleFile,
}

impl ModuleSource {
    /// Maps a copy of the file, which runs its constructors.
    ///
    /// # Errors
    /// [`LoadError`] for a file that is loaded already, is not complete, or can't be mapped.
    pub(super) fn open(self) -> Result<OpenedModule, LoadError> {
        let file = match self {
            ModuleSource::Static(module) => return Ok(OpenedModule { module, mapped: None }),
            ModuleSource::File(file) => file,
        };
        let mut open_file = OpenModuleFile::new(&file)?;
        truncation::check(&file)?;
        // SAFETY: the decision to load this file, and so to trust its constructors, was made before.
        let copy = unsafe { PrivateCopy::load(&file) }?;
        open_file.hold(file);
        Ok(OpenedModule { module: copy.description(), mapped: Some(MappedCopy { copy, _file: open_file }) })
    }
}

impl OpenedModule {
    /// Checks the description, from the outside in: each part is read only after its place and size were checked.
    pub(super) fn describe(&self) -> Result<ModuleDescription, Fault> {
        // SAFETY: a description of every version of the interface begins with these numbers.
        check_head(unsafe { self.module.cast::<[u32; HEAD]>().read() })?;
        let module = self.module();
        let (files, rules) = check_tables(module)?;
        // SAFETY: the description says that so many entries are there, and both pointers were checked.
        unsafe { ModuleDescription::of(module, table(module.files, files), table(module.rules, rules)) }
    }

    /// The description, once [`OpenedModule::describe`] has checked its head.
    pub(super) fn module(&self) -> &abi::RawModule {
        // SAFETY: its head was checked, so the whole of it is there. It is mapped for as long as `self` lives.
        unsafe { &*self.module }
    }

    /// Unmaps the copy, which runs its destructors. `module` names it in the log.
    pub(super) fn unmap(self, module: &str) {
        if let Some(mapped) = self.mapped {
            mapped.copy.unmap(module);
        }
    }
}

/// # Safety
/// `first` points to `count` entries, or `count` is 0.
pub(super) unsafe fn table<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { slice::from_raw_parts(first, count) }
}
