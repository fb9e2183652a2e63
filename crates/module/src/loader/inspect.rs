//! Reads the description of a module from its file, without running any code of the file.
//!
//! The description is constant data, so all of it is in the file. The structures are there as bytes; the pointers to
//! tables and callbacks are there as relocations for the dynamic linker. A file whose constructor makes the description
//! at load time is no module.

use std::path::Path;

use super::description::{HEAD, ModuleDescription, check_head, check_tables};
use super::elf::SharedObject;
use super::error::LoadError;
use crate::abi;

/// The checked description of the module in `object`, which was read from `path`.
///
/// # Errors
/// [`LoadError::NotAModule`] without a readable description, [`LoadError::Description`] for one that can't be used.
pub(super) fn describe(path: &Path, object: &SharedObject<'_>) -> Result<ModuleDescription, LoadError> {
    let at = object.symbol(abi::SYMBOL).ok_or_else(|| {
        LoadError::not_a_module(
            path,
            format!("it exports no symbol {}, the description of a module", abi::SYMBOL),
        )
    })?;
    let nothing = |reason| LoadError::not_a_module(path, reason);
    let faulty = |fault| LoadError::description(path, fault);
    let head: [u32; HEAD] = value(object, at).map_err(nothing)?;
    check_head(head).map_err(faulty)?;
    let module: abi::RawModule = value(object, at).map_err(nothing)?;
    let (files, rules) = check_tables(&module).map_err(faulty)?;
    let files = table::<abi::RawFile>(object, module.files.addr(), files).map_err(nothing)?;
    let rules = table::<abi::RawRule>(object, module.rules.addr(), rules).map_err(nothing)?;
    ModuleDescription::of(&module, &files, &rules).map_err(faulty)
}

/// A type for which any bytes are a valid value.
///
/// # Safety
/// Any bytes are a valid value of the type. The pointers and functions in a value read from a file are not valid in
/// this process: no code may follow or call them.
unsafe trait FromBytes {}

// SAFETY: integers.
unsafe impl FromBytes for [u32; HEAD] {}
// SAFETY: integers, raw pointers and optional functions.
unsafe impl FromBytes for abi::RawModule {}
// SAFETY: integers and optional functions.
unsafe impl FromBytes for abi::RawFile {}
// SAFETY: integers.
unsafe impl FromBytes for abi::RawRule {}

fn value<T: FromBytes>(object: &SharedObject<'_>, address: u64) -> Result<T, String> {
    Ok(value_of(&object.read(address, size_of::<T>())?))
}

fn table<T: FromBytes>(object: &SharedObject<'_>, address: usize, count: usize) -> Result<Vec<T>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let bytes = object.read(address as u64, count * size_of::<T>())?;
    Ok(bytes.chunks_exact(size_of::<T>()).map(value_of).collect())
}

fn value_of<T: FromBytes>(bytes: &[u8]) -> T {
    assert!(bytes.len() >= size_of::<T>(), "as many bytes as the value has");
    // SAFETY: there are enough bytes, they need not be aligned, and any are a value of `T`.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}
