//! Reading the description of a module from its file, without running anything of it.
//!
//! The description is constant data, so all of it is in the file: the bytes of the structures, and the pointers of the
//! tables and callbacks as relocations that the dynamic linker would do. A module that makes its description when it is
//! loaded, in a constructor, is none.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::elf::SharedObject;
use super::error::LoadError;
use super::info::{HEAD, Info, check_head, check_tables};
use crate::abi;

/// A shared object that is longer than this is not read.
const MAX_LENGTH: u64 = 1 << 30;

/// What a module says of itself, from its file. Nothing of the file is run, so whoever may read it may inspect it.
///
/// # Errors
/// [`LoadError::System`] for a file that can't be read, [`LoadError::NotAModule`] and [`LoadError::Description`] for what
/// is in it.
pub fn inspect(path: &Path) -> Result<Info, LoadError> {
    let bytes = read(path)?;
    let object = SharedObject::parse(&bytes).map_err(|reason| LoadError::not_a_module(path, reason))?;
    let at = object.symbol(abi::SYMBOL).ok_or_else(|| {
        LoadError::not_a_module(
            path,
            format!("it exports no symbol {}, the description of a module", abi::SYMBOL),
        )
    })?;
    let nothing = |reason| LoadError::not_a_module(path, reason);
    let head = object.read(at, size_of::<[u32; HEAD]>()).map_err(nothing)?;
    check_head(head_of(&head)).map_err(|fault| LoadError::description(path, fault))?;
    let bytes = object.read(at, size_of::<abi::Module>()).map_err(nothing)?;
    // SAFETY: as below.
    let module: abi::Module = unsafe { value_of(&bytes) };
    let (files, rules) = check_tables(&module).map_err(|fault| LoadError::description(path, fault))?;
    // SAFETY: as below.
    let files = unsafe { table::<abi::File>(&object, module.files.addr(), files) }.map_err(nothing)?;
    // SAFETY: the structures of the interface are made of integers, raw pointers and optional functions, of which any
    // bytes are a value. The pointers are those of another place and never followed, the functions never called.
    let rules = unsafe { table::<abi::Rule>(&object, module.rules.addr(), rules) }.map_err(nothing)?;
    Info::of(&module, &files, &rules).map_err(|fault| LoadError::description(path, fault))
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error| LoadError::system("read it", path, error);
    // to open what is no file, a pipe for one, could wait for ever
    let facts = path.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(LoadError::not_a_module(path, "it is not a regular file"));
    }
    if facts.len() > MAX_LENGTH {
        return Err(LoadError::not_a_module(path, format!("it is longer than {MAX_LENGTH} bytes")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_LENGTH).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

fn head_of(bytes: &[u8]) -> [u32; HEAD] {
    let (numbers, _) = bytes.as_chunks();
    std::array::from_fn(|index| u32::from_ne_bytes(numbers[index]))
}

/// The entries of a table.
///
/// # Safety
/// As [`value_of`].
unsafe fn table<T>(object: &SharedObject<'_>, address: usize, count: usize) -> Result<Vec<T>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let bytes = object.read(address as u64, count * size_of::<T>())?;
    // SAFETY: the caller says so.
    Ok(bytes.chunks_exact(size_of::<T>()).map(|bytes| unsafe { value_of(bytes) }).collect())
}

/// Takes bytes for a value.
///
/// # Safety
/// Any bytes must be a value of `T`.
unsafe fn value_of<T>(bytes: &[u8]) -> T {
    assert!(bytes.len() >= size_of::<T>(), "as many bytes as the value has");
    // SAFETY: there are enough bytes, they need not be aligned, and the caller says that they are a value.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}
