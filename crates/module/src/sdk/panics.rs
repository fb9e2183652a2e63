//! Panics end here: none reaches the program that has loaded the module.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the module's author; its panic is an error, with what it said.
pub(super) fn caught<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    // What the code has left half done is its subsystem's own, which may be called again.
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        let text = message_of(&*payload);
        discard(payload);
        text
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.map_or_else(|| "a panic without a message".into(), |text| format!("a panic: {text}"))
}

/// Drops what was thrown, which is of any type and so may panic once more.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}
