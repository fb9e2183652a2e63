//! A shared object as it would be in memory, read from its file without loading it.

use std::collections::BTreeMap;

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Rela, Sym};
use object::{NativeEndian, ReadRef, SymbolIndex, pod};

type Header = elf::FileHeader64<NativeEndian>;
type Symbols<'data> = object::read::elf::SymbolTable<'data, Header>;

const ENDIAN: NativeEndian = NativeEndian;

/// The kind of machine that this program runs on, and its numbers for the relocations that a description can have.
struct ElfMachine {
    number: u16,
    name: &'static str,
    /// The relocation to an address in the same file.
    relative: u32,
    /// The relocations to the address of a symbol.
    of_symbol: [u32; 2],
}

#[cfg(target_arch = "x86_64")]
const MACHINE: ElfMachine = ElfMachine {
    number: elf::EM_X86_64,
    name: "x86_64",
    relative: elf::R_X86_64_RELATIVE,
    of_symbol: [elf::R_X86_64_64, elf::R_X86_64_GLOB_DAT],
};
#[cfg(target_arch = "aarch64")]
const MACHINE: ElfMachine = ElfMachine {
    number: elf::EM_AARCH64,
    name: "aarch64",
    relative: elf::R_AARCH64_RELATIVE,
    of_symbol: [elf::R_AARCH64_ABS64, elf::R_AARCH64_GLOB_DAT],
};

/// The value read for a pointer that leads out of the file: not NULL, and not to be followed.
const ELSEWHERE: u64 = u64::MAX;

/// A shared object, with the addresses that it would have if it were loaded at 0.
pub(super) struct SharedObject<'data> {
    data: &'data [u8],
    segments: Vec<&'data elf::ProgramHeader64<NativeEndian>>,
    symbols: Symbols<'data>,
    /// The pointers that the dynamic linker would write, by their address. Relocations of the compact kind (RELR) are
    /// not here: their pointers are in the file already.
    pointers: BTreeMap<u64, u64>,
}

impl<'data> SharedObject<'data> {
    /// Reads the tables of a file.
    ///
    /// # Errors
    /// In words, why the file can't be loaded on this machine.
    pub(super) fn parse(data: &'data [u8]) -> Result<SharedObject<'data>, String> {
        let header =
            Header::parse(data).map_err(|_| "it is not a 64-bit ELF file of this byte order".to_owned())?;
        if header.e_machine(ENDIAN) != MACHINE.number {
            return Err(format!("it is made for another kind of machine than {}", MACHINE.name));
        }
        if header.e_type(ENDIAN) != elf::ET_DYN {
            return Err("it is not a shared object; link it with -shared".to_owned());
        }
        let headers = header.program_headers(ENDIAN, data).map_err(damaged)?;
        let segments = headers.iter().filter(|one| one.p_type(ENDIAN) == elf::PT_LOAD).collect();
        let sections = header.sections(ENDIAN, data).map_err(damaged)?;
        let symbols = sections.symbols(ENDIAN, data, elf::SHT_DYNSYM).map_err(damaged)?;
        let mut object = SharedObject { data, segments, symbols, pointers: BTreeMap::new() };
        for header in headers {
            if let Some(dynamic) = header.dynamic(ENDIAN, data).map_err(damaged)? {
                object.relocate(dynamic)?;
            }
        }
        Ok(object)
    }

    /// The address of an exported symbol; `None` if the file defines no symbol of that name.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        let found = self.symbols.iter().find(|symbol| {
            symbol.name(ENDIAN, self.symbols.strings()).is_ok_and(|other| other == name.as_bytes())
                && !symbol.is_undefined(ENDIAN)
        });
        found.map(|symbol| symbol.st_value(ENDIAN))
    }

    /// The bytes that would be at an address.
    ///
    /// # Errors
    /// In words, if the file has no bytes for the address.
    pub(super) fn read(&self, address: u64, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = self.raw(address, length).ok_or_else(|| {
            format!(
                "the file has no {length} bytes for the address {address:#x}, where it says that they are"
            )
        })?;
        let end = address + length as u64;
        for (&at, pointer) in self.pointers.range(address..end) {
            let from = (at - address) as usize;
            if let Some(place) = bytes.get_mut(from..from + 8) {
                place.copy_from_slice(&pointer.to_ne_bytes());
            }
        }
        Ok(bytes)
    }

    /// The bytes at an address before the dynamic linker has done its work. Bytes of a segment that are not in the
    /// file are zero.
    fn raw(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let end = address.checked_add(length as u64)?;
        let inside = |segment: &&&elf::ProgramHeader64<NativeEndian>| {
            let from = segment.p_vaddr(ENDIAN);
            from <= address && from.checked_add(segment.p_memsz(ENDIAN)).is_some_and(|to| end <= to)
        };
        let segment = self.segments.iter().find(inside)?;
        let skipped = address - segment.p_vaddr(ENDIAN);
        let there = segment.p_filesz(ENDIAN).saturating_sub(skipped).min(length as u64);
        let offset = segment.p_offset(ENDIAN).checked_add(skipped)?;
        let mut bytes =
            if there == 0 { Vec::new() } else { self.data.read_bytes_at(offset, there).ok()?.to_vec() };
        bytes.resize(length, 0);
        Some(bytes)
    }

    fn relocate(&mut self, dynamic: &[elf::Dyn64<NativeEndian>]) -> Result<(), String> {
        let entries = dynamic.iter().take_while(|entry| entry.tag(ENDIAN) != elf::DT_NULL);
        let (mut address, mut size) = (0, 0);
        for entry in entries {
            match entry.tag(ENDIAN) {
                elf::DT_RELA => address = entry.val(ENDIAN),
                elf::DT_RELASZ => size = entry.val(ENDIAN),
                _ => {}
            }
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= self.data.len());
        let size = size.ok_or_else(|| damaged("the relocations are longer than the file"))?;
        if size == 0 {
            return Ok(());
        }
        let table = self.raw(address, size).ok_or_else(|| damaged("the relocations are not in the file"))?;
        let count = size / size_of::<elf::Rela64<NativeEndian>>();
        let (entries, _) = pod::slice_from_bytes::<elf::Rela64<NativeEndian>>(&table, count)
            .map_err(|()| damaged("the relocations can't be read"))?;
        for entry in entries {
            let (kind, addend) = (entry.r_type(ENDIAN, false), entry.r_addend(ENDIAN));
            let pointer = if kind == MACHINE.relative {
                addend.cast_unsigned()
            } else if MACHINE.of_symbol.contains(&kind) {
                self.address_of(entry.symbol(ENDIAN, false), addend)
            } else {
                continue;
            };
            self.pointers.insert(entry.r_offset(ENDIAN), pointer);
        }
        Ok(())
    }

    fn address_of(&self, symbol: Option<SymbolIndex>, addend: i64) -> u64 {
        let symbol = symbol.and_then(|index| self.symbols.symbol(index).ok());
        match symbol {
            Some(symbol) if !symbol.is_undefined(ENDIAN) => {
                symbol.st_value(ENDIAN).wrapping_add_signed(addend)
            }
            _ => ELSEWHERE,
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("the file is damaged: {error}")
}
