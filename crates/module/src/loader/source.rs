//! Where a module comes from.

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

/// A file, or a description that is part of this program.
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

/// A module's description in memory.
pub(super) struct OpenedModule {
    module: *const abi::RawModule,
    mapped: Option<MappedCopy>,
}

struct MappedCopy {
    copy: PrivateCopy,
    /// Given back after the copy is unmapped.
    _file: OpenModuleFile,
}

impl ModuleSource {
    /// Maps a copy of the file, which runs its constructors.
    ///
    /// # Errors
    /// [`LoadError`] for a file that is loaded already or can't be mapped.
    pub(super) fn open(self) -> Result<OpenedModule, LoadError> {
        let file = match self {
            ModuleSource::Static(module) => return Ok(OpenedModule { module, mapped: None }),
            ModuleSource::File(file) => file,
        };
        let mut open_file = OpenModuleFile::new(&file)?;
        truncation::check(&file)?;
        // SAFETY: a module's constructors are its author's business, and who may load it was decided before.
        let copy = unsafe { PrivateCopy::load(&file) }?;
        open_file.hold(file);
        Ok(OpenedModule { module: copy.description(), mapped: Some(MappedCopy { copy, _file: open_file }) })
    }
}

impl OpenedModule {
    /// What the module says of itself, from the outside in: nothing is read before it is known to be there.
    pub(super) fn describe(&self) -> Result<ModuleDescription, Fault> {
        // SAFETY: a description of every version of the interface begins with these numbers.
        check_head(unsafe { self.module.cast::<[u32; HEAD]>().read() })?;
        let module = self.module();
        let (files, rules) = check_tables(module)?;
        // SAFETY: the description says that so many are there, and both pointers were looked at.
        unsafe { ModuleDescription::of(module, table(module.files, files), table(module.rules, rules)) }
    }

    /// The description, once [`OpenedModule::describe`] has checked its head.
    pub(super) fn module(&self) -> &abi::RawModule {
        // SAFETY: its head was checked, so it is all there, and it is mapped for as long as this is.
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
/// `count` entries are there, unless it is 0.
pub(super) unsafe fn table<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { slice::from_raw_parts(first, count) }
}
