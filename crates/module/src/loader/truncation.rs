//! Checks that a file is complete. The linker maps a truncated file, and a read beyond its end raises SIGBUS.

use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use super::error::LoadError;
use super::module_file::ModuleFile;

/// Checks that a file contains all its segments.
///
/// # Errors
/// [`LoadError::NotAModule`] for a file that is no 64-bit ELF file, or that ends before its last segment does.
pub(super) fn check(file: &ModuleFile) -> Result<(), LoadError> {
    let wrong = |reason: String| LoadError::not_a_module(file.path(), reason);
    let end = mapped_end(file.bytes()).map_err(|error| wrong(error.to_string()))?;
    let length = file.bytes().len();
    if end > length as u64 {
        return Err(wrong(format!("it ends after {length} bytes of the {end} that it says it has")));
    }
    Ok(())
}

/// The offset in the file after the last byte that is mapped.
fn mapped_end(content: &[u8]) -> object::Result<u64> {
    let header = FileHeader64::<Endianness>::parse(content)?;
    let endian = header.endian()?;
    let loaded =
        header.program_headers(endian, content)?.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let ends = loaded.map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    Ok(ends.max().unwrap_or(0))
}
