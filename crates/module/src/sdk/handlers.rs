//! The handlers of control files: each finds the file of the subsystem's table by its number and calls its function.

use std::ffi::{c_char, c_int};
use std::slice;
use std::str;

use penfold_core::{Context, Errno, Error, File, Read, Result, Subsystem, Write};

use super::callbacks::attempt;
use super::remote::Port;
use crate::abi;

/// Calls `handler` with the file that the context names.
///
/// # Safety
/// As [`super::callbacks::run`].
unsafe fn handle<S: Subsystem>(
    ctx: *mut abi::Context,
    handler: impl FnOnce(&File<S>, &mut S, &mut Context<'_, S>, Port) -> Result<()>,
) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        let file = (*ctx).file as usize;
        attempt::<S>(ctx, |loaded, remote, css| {
            let port = remote.port();
            loaded.with_file(remote, css, file, |file, subsystem, ctx| handler(file, subsystem, ctx, port))
        })
    }
}

fn another_kind() -> Error {
    Error::value(Errno::EINVAL, "the file is not of this kind")
}

pub(super) unsafe extern "C" fn read_u64<S: Subsystem>(ctx: *mut abi::Context, value: *mut u64) -> c_int {
    let read = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, _| {
        let Read::U64(read) = file.read else { return Err(another_kind()) };
        let number = read(subsystem, ctx)?;
        // SAFETY: the loader has room for a number there.
        unsafe { *value = number };
        Ok(())
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, read) }
}

pub(super) unsafe extern "C" fn read_s64<S: Subsystem>(ctx: *mut abi::Context, value: *mut i64) -> c_int {
    let read = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, _| {
        let Read::S64(read) = file.read else { return Err(another_kind()) };
        let number = read(subsystem, ctx)?;
        // SAFETY: the loader has room for a number there.
        unsafe { *value = number };
        Ok(())
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, read) }
}

pub(super) unsafe extern "C" fn read_map<S: Subsystem>(ctx: *mut abi::Context) -> c_int {
    let read = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, port: Port| {
        let Read::Map(read) = file.read else { return Err(another_kind()) };
        let mut line = Vec::new();
        read(subsystem, ctx, &mut |key, value| {
            line.clear();
            line.extend_from_slice(key.as_bytes());
            line.push(0);
            port.put_line(&line, value);
        })
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, read) }
}

pub(super) unsafe extern "C" fn read_text<S: Subsystem>(ctx: *mut abi::Context) -> c_int {
    let read = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, port: Port| {
        let Read::Text(read) = file.read else { return Err(another_kind()) };
        let mut text = String::new();
        read(subsystem, ctx, &mut text)?;
        port.put(&text);
        Ok(())
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, read) }
}

pub(super) unsafe extern "C" fn write_u64<S: Subsystem>(ctx: *mut abi::Context, value: u64) -> c_int {
    let write = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, _| match file.write {
        Write::U64(write) => write(subsystem, ctx, value),
        _ => Err(another_kind()),
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, write) }
}

pub(super) unsafe extern "C" fn write_s64<S: Subsystem>(ctx: *mut abi::Context, value: i64) -> c_int {
    let write = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, _| match file.write {
        Write::S64(write) => write(subsystem, ctx, value),
        _ => Err(another_kind()),
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, write) }
}

pub(super) unsafe extern "C" fn write_text<S: Subsystem>(
    ctx: *mut abi::Context,
    text: *const c_char,
    length: usize,
) -> c_int {
    // SAFETY: the loader passes so many bytes.
    let text = unsafe { slice::from_raw_parts(text.cast::<u8>(), length) };
    let write = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, _| {
        let Write::Text(write) = file.write else { return Err(another_kind()) };
        let text = str::from_utf8(text).map_err(|_| Error::value(Errno::EINVAL, "not a text"))?;
        write(subsystem, ctx, text)
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, write) }
}

pub(super) unsafe extern "C" fn trigger<S: Subsystem>(ctx: *mut abi::Context) -> c_int {
    let write = |file: &File<S>, subsystem: &mut S, ctx: &mut Context<'_, S>, _| match file.write {
        Write::Trigger(trigger) => trigger(subsystem, ctx),
        _ => Err(another_kind()),
    };
    // SAFETY: as `handle`.
    unsafe { handle(ctx, write) }
}
