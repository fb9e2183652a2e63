//! Catches panics of the module, so that none reaches the loading program.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the module's author. A panic is an error with the message of the panic.
pub(super) fn caught<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    // Unwind safe: only the state of the subsystem can be half changed, and the subsystem is called again with it.
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

/// Drops the payload of a panic. The payload may be of any type, so its drop may panic once more.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}
