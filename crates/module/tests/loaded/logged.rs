//! Records the log of this thread.

use std::fmt::{Debug, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

struct LogRecorder(Arc<Mutex<Vec<String>>>);

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
        self.0.lock().unwrap().push(words.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A second dispatcher, which lives as long as the program and gets no events.
///
/// While there is one dispatcher only, tracing asks that of the current thread whether a line of the source is enabled,
/// and keeps the answer for all threads. So a thread without a recorder would turn the watchdog's reports off.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(LogRecorder(Arc::default())));

/// The lines of the log while `work` runs.
pub fn during(work: impl FnOnce()) -> Vec<String> {
    meanwhile(|_| work())
}

/// The lines of the log while `work` runs. `work` gets the lines so far.
pub fn meanwhile(work: impl FnOnce(&Mutex<Vec<String>>)) -> Vec<String> {
    LazyLock::force(&SECOND);
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    tracing::subscriber::with_default(LogRecorder(lines.clone()), || work(&lines));
    std::mem::take(&mut *lines.lock().unwrap())
}
