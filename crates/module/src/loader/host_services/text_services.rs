//! Services that take text: content of files, reasons, lines of the log.

use std::borrow::Cow;

use super::contract::services;

services! {
    fn put(call, text: text[length]) {
        if let (Some(frame), Some(text)) = (call.frame(), text) {
            frame.output().text.extend_from_slice(text);
        }
    }

    fn put_line(call, key: string, value: u64) {
        if let (Some(frame), Some(key)) = (call.frame(), key) {
            frame.output().lines.push((key.to_bytes().to_vec(), value));
        }
    }

    fn explain(call, reason: text[length]) {
        if let Some(frame) = call.frame() {
            frame.output().explanation = Some(shown(reason).into_owned());
        }
    }

    fn log(call, line: text[length]) {
        if let Some(frame) = call.frame() {
            tracing::info!(module = frame.name, "{}", shown(line));
        }
    }

    fn failed(call, how: text[length]) {
        if let Some(frame) = call.frame() {
            frame.output().failure = Some(shown(how).into_owned());
        }
    }
}

fn shown(text: Option<&[u8]>) -> Cow<'_, str> {
    String::from_utf8_lossy(text.unwrap_or_default())
}
