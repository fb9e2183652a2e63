//! Is a file all there? The linker maps one that is cut off, and whoever then looks behind its end dies of SIGBUS.

use std::fs;
use std::path::Path;

use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use super::error::LoadError;

/// # Errors
/// [`LoadError::System`] for a file that can't be read, [`LoadError::NotAModule`] for what is no ELF file of 64 bits or
/// ends before what it says that it has.
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    let system = |error| LoadError::system("read", path, error);
    // a pipe or a device might never end
    if !fs::metadata(path).map_err(system)?.is_file() {
        return Err(LoadError::not_a_module(path, "it is no regular file"));
    }
    let content = fs::read(path).map_err(system)?;
    let end = mapped_end(&content).map_err(|error| LoadError::not_a_module(path, error.to_string()))?;
    if end > content.len() as u64 {
        let reason = format!("it ends after {} bytes of the {end} that it says it has", content.len());
        return Err(LoadError::not_a_module(path, reason));
    }
    Ok(())
}

/// Where in the file the last byte is that is to be mapped.
fn mapped_end(content: &[u8]) -> object::Result<u64> {
    let header = FileHeader64::<Endianness>::parse(content)?;
    let endian = header.endian()?;
    let loaded =
        header.program_headers(endian, content)?.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let ends = loaded.map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    Ok(ends.max().unwrap_or(0))
}
