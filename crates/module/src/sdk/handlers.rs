//! The handlers of control files: each finds the file in the subsystem's table by its number and calls its function.
//!
//! The handlers rely on the contract of [`callbacks`](super::callbacks).

use std::ffi::{c_char, c_int};
use std::slice;
use std::str;

use penfold_core::{
    Errno, Error, Result,
    control_file::{ControlFile, ReadHandler, WriteHandler},
    subsystem::{Context, Subsystem},
};

use super::callbacks::attempt;
use super::remote_services::ServicePort;
use crate::abi;

/// Calls `handler` with the file that the context names.
///
/// # Safety
/// The contract.
unsafe fn handle<S: Subsystem>(
    ctx: *mut abi::RawContext,
    handler: impl FnOnce(&ControlFile<S>, &mut S, &mut Context<'_, S>, ServicePort) -> Result<()>,
) -> c_int {
    // SAFETY: the caller vouches for the contract.
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

/// Defines handlers. The argument `value: out T` is memory for a result, `text: [length]` a text in bytes.
macro_rules! handlers {
    () => {};
    ($name:ident($value:ident: out $type:ty) |$file:ident, $subsystem:ident, $ctx:ident, $port:pat_param|
        $body:expr; $($rest:tt)*) => {
        handlers! { @define $name [value: *mut $type] [let $value = &mut *value;]
            |$file, $subsystem, $ctx, $port| $body }
        handlers! { $($rest)* }
    };
    ($name:ident($text:ident: [$length:ident]) |$file:ident, $subsystem:ident, $ctx:ident, $port:pat_param|
        $body:expr; $($rest:tt)*) => {
        handlers! { @define $name [text: *const c_char, length: usize]
            [let $text = slice::from_raw_parts(text.cast::<u8>(), length);]
            |$file, $subsystem, $ctx, $port| $body }
        handlers! { $($rest)* }
    };
    ($name:ident($($value:ident: $type:ty)?) |$file:ident, $subsystem:ident, $ctx:ident, $port:pat_param|
        $body:expr; $($rest:tt)*) => {
        handlers! { @define $name [$($value: $type)?] [] |$file, $subsystem, $ctx, $port| $body }
        handlers! { $($rest)* }
    };
    (@define $name:ident [$($c:ident: $type:ty),*] [$(let $typed:ident = $made:expr;)?]
        |$file:ident, $subsystem:ident, $ctx:ident, $port:pat_param| $body:expr) => {
        /// # Safety
        /// The contract.
        pub(super) unsafe extern "C" fn $name<S: Subsystem>(
            ctx: *mut abi::RawContext $(, $c: $type)*
        ) -> c_int {
            $(
                // SAFETY: the caller vouches for the contract.
                let $typed = unsafe { $made };
            )?
            let handler = |$file: &ControlFile<S>, $subsystem: &mut S, $ctx: &mut Context<'_, S>, $port: ServicePort| $body;
            // SAFETY: the caller vouches for the contract.
            unsafe { handle(ctx, handler) }
        }
    };
}

handlers! {
    read_u64(value: out u64) |file, subsystem, ctx, _| {
        let ReadHandler::U64(read) = file.read else { return Err(another_kind()) };
        *value = read(subsystem, ctx)?;
        Ok(())
    };
    read_s64(value: out i64) |file, subsystem, ctx, _| {
        let ReadHandler::S64(read) = file.read else { return Err(another_kind()) };
        *value = read(subsystem, ctx)?;
        Ok(())
    };
    read_map() |file, subsystem, ctx, port| {
        let ReadHandler::Map(read) = file.read else { return Err(another_kind()) };
        let mut line = Vec::new();
        read(subsystem, ctx, &mut |key, value| {
            line.clear();
            line.extend_from_slice(key.as_bytes());
            line.push(0);
            port.put_line(&line, value);
        })
    };
    read_text() |file, subsystem, ctx, port| {
        let ReadHandler::Text(read) = file.read else { return Err(another_kind()) };
        let mut text = String::new();
        read(subsystem, ctx, &mut text)?;
        port.put(&text);
        Ok(())
    };
    write_u64(value: u64) |file, subsystem, ctx, _| match file.write {
        WriteHandler::U64(write) => write(subsystem, ctx, value),
        _ => Err(another_kind()),
    };
    write_s64(value: i64) |file, subsystem, ctx, _| match file.write {
        WriteHandler::S64(write) => write(subsystem, ctx, value),
        _ => Err(another_kind()),
    };
    write_text(text: [length]) |file, subsystem, ctx, _| {
        let WriteHandler::Text(write) = file.write else { return Err(another_kind()) };
        let text = str::from_utf8(text).map_err(|_| Error::value(Errno::EINVAL, "not a text"))?;
        write(subsystem, ctx, text)
    };
    trigger() |file, subsystem, ctx, _| match file.write {
        WriteHandler::Trigger(trigger) => trigger(subsystem, ctx),
        _ => Err(another_kind()),
    };
}
