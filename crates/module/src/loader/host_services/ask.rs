//! How a service gets its answer, and how what a module passes is looked at.

use std::ffi::{c_char, c_int};
use std::slice;

use penfold_core::{Css, Errno, Error, Mask, Result, Services};

use crate::abi::Context;
use crate::loader::guest::Frame;

pub(super) const fn code(errno: Errno) -> c_int {
    -errno.number()
}

/// The callback under way; `None` for a NULL context.
pub(super) unsafe fn frame<'a>(ctx: *mut Context) -> Option<&'a mut Frame<'a>> {
    // SAFETY: a context that is not NULL is the one of the callback under way, whose frame only this thread touches.
    unsafe { ctx.as_ref().and_then(|ctx| ctx.engine.cast::<Frame<'a>>().as_mut()) }
}

/// Asks the engine's thread; `otherwise` without a context.
pub(super) unsafe fn ask<R>(
    ctx: *mut Context,
    otherwise: R,
    request: impl FnOnce(&mut dyn Services) -> R,
) -> R {
    // SAFETY: as `frame`.
    match unsafe { frame(ctx) } {
        Some(frame) => frame.ask(request),
        None => otherwise,
    }
}

/// The same about a css, which has to be one of the module's own.
pub(super) unsafe fn ask_of<R>(
    ctx: *mut Context,
    css: u32,
    otherwise: R,
    request: impl FnOnce(&mut dyn Services, Css) -> R,
) -> R {
    let css = Css::from_number(css);
    // SAFETY: as `frame`.
    match unsafe { frame(ctx) } {
        Some(frame) => frame
            .ask(|services| if services.is_alive(css) { Some(request(services, css)) } else { None })
            .unwrap_or(otherwise),
        None => otherwise,
    }
}

/// A service that can fail: its error is kept, so that a callback which passes the errno on passes all of it on.
pub(super) unsafe fn try_ask(
    ctx: *mut Context,
    request: impl FnOnce(&mut dyn Services) -> Result<()>,
) -> c_int {
    // SAFETY: as `frame`.
    let Some(frame) = (unsafe { frame(ctx) }) else { return code(Errno::EFAULT) };
    match frame.ask(request) {
        Ok(()) => 0,
        Err(error) => {
            let errno = error.errno();
            frame.said.error = Some(error);
            code(errno)
        }
    }
}

/// The same about a css and one of the module's rules.
pub(super) unsafe fn try_ask_rule(
    ctx: *mut Context,
    css: u32,
    rule: u32,
    request: impl FnOnce(&mut dyn Services, Css, usize) -> Result<()>,
) -> c_int {
    let (css, rule) = (Css::from_number(css), rule as usize);
    let checked = |services: &mut dyn Services| {
        if !services.is_alive(css) || rule >= services.rule_count() {
            return Err(Error::refused(Errno::EINVAL, "the module asked for a counter that it has not"));
        }
        request(services, css, rule)
    };
    // SAFETY: as `frame`.
    unsafe { try_ask(ctx, checked) }
}

pub(super) fn plain(answer: Result<(), Errno>) -> c_int {
    answer.map_or_else(code, |()| 0)
}

/// Writes a list, as far as there is room.
pub(super) unsafe fn fill<T: Copy>(items: &[T], list: *mut T, capacity: usize) -> usize {
    if !list.is_null() {
        // SAFETY: the module has room for `capacity` items there.
        unsafe { items.as_ptr().copy_to(list, items.len().min(capacity)) };
    }
    items.len()
}

pub(super) unsafe fn bytes<'a>(text: *const c_char, length: usize) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: the module says that so many bytes are there.
    unsafe { slice::from_raw_parts(text.cast(), length) }
}

pub(super) unsafe fn text(text: *const c_char, length: usize) -> String {
    // SAFETY: as `bytes`.
    String::from_utf8_lossy(unsafe { bytes(text, length) }).into_owned()
}

pub(super) unsafe fn mask(words: *const u64, count: usize) -> Option<Mask> {
    if words.is_null() {
        return None;
    }
    // SAFETY: the module says that so many words are there.
    Some(Mask::from_words(unsafe { slice::from_raw_parts(words, count) }))
}
