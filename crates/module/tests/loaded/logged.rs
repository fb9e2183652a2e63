//! Records the log of this thread.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the lines of the log, or drops them.
struct LogRecorder(Option<Arc<Mutex<Vec<String>>>>);

struct EventText(String);

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("a String takes all");
    }
}

impl Subscriber for LogRecorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = EventText(format!("{} ", event.metadata().level()));
        event.record(&mut words);
        if let Some(lines) = &self.0 {
            lines.lock().unwrap().push(words.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Makes a subscriber that drops its lines the default of all threads, once.
///
/// While there is one subscriber only, `tracing` asks that of the current thread whether a message is on, and keeps the
/// answer for all threads. So a thread without a subscriber that comes first would turn the message off for ever.
fn log_everywhere() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(LogRecorder(None)).expect("no other default is set");
    });
}

/// The lines of the log while `work` runs.
pub fn during(work: impl FnOnce()) -> Vec<String> {
    meanwhile(|_| work())
}

/// The lines of the log while `work` runs. `work` gets the lines so far.
pub fn meanwhile(work: impl FnOnce(&Mutex<Vec<String>>)) -> Vec<String> {
    log_everywhere();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    tracing::subscriber::with_default(LogRecorder(Some(lines.clone())), || work(&lines));
    std::mem::take(&mut *lines.lock().unwrap())
}
