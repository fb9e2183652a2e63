//! What a callback says: content, reasons, lines of the log.

use std::ffi::{CStr, c_char};

use super::ask::{bytes, frame, text};
use crate::abi::Context;

pub(super) unsafe extern "C" fn put(ctx: *mut Context, text: *const c_char, length: usize) {
    // SAFETY: as `frame` and `bytes`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.text.extend_from_slice(bytes(text, length));
        }
    }
}

pub(super) unsafe extern "C" fn put_line(ctx: *mut Context, key: *const c_char, value: u64) {
    if key.is_null() {
        return;
    }
    // SAFETY: as `frame`; a key that is not NULL ends with a NUL.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.lines.push((CStr::from_ptr(key).to_bytes().to_vec(), value));
        }
    }
}

pub(super) unsafe extern "C" fn explain(ctx: *mut Context, reason: *const c_char, length: usize) {
    // SAFETY: as `frame` and `text`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.explanation = Some(text(reason, length));
        }
    }
}

pub(super) unsafe extern "C" fn log(ctx: *mut Context, line: *const c_char, length: usize) {
    // SAFETY: as `frame` and `text`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            tracing::info!(module = frame.name, "{}", text(line, length));
        }
    }
}

pub(super) unsafe extern "C" fn failed(ctx: *mut Context, how: *const c_char, length: usize) {
    // SAFETY: as `frame` and `text`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.failure = Some(text(how, length));
        }
    }
}
