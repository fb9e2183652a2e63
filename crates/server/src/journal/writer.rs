//! The thread that writes the journal.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::EscapedBytes;
use super::describe::Defaults;
use super::file::Store;
use super::members::{self, Survivors};
use super::origin::{JournalOrigin, ProcStamp};
use super::record::{Record, ViewRecord};
use super::scan::{PendingScan, Scanner, ViewTable};
use super::snapshot::Snapshot;
use crate::change::{Announcement, EngineChange};
use crate::failure::Failure;
use crate::service::Service;

/// How many messages are handled together.
const BATCH: usize = 4096;
/// The pause after the first of several changes. Without it, each change of a series would wake this thread. On one CPU
/// such a wake-up costs the client more than its next change.
const GATHER: Duration = Duration::from_millis(2);
/// How often membership is read while members exist that would outlive the daemon. Births and deaths are not announced.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// Reading membership takes at most one part in this many of the time. After an attach the wait for that is never
/// longer than [`SCAN_INTERVAL`].
const SCAN_SHARE: u32 = 50;
/// The most changes that wait for this thread. With more of them it reads the whole state anew instead.
const WAITING: usize = 65_536;
/// The pause between a failed write and the next try.
const RETRY: Duration = Duration::from_secs(1);

enum WriterMessage {
    Change(EngineChange),
    /// Changes were left out: the whole state is to be read.
    LeftOut,
    Views,
    Flush(SyncSender<bool>),
    Stop {
        keep: bool,
        done: SyncSender<()>,
    },
}

#[derive(Default)]
struct WriterShared {
    views: Mutex<ViewTable>,
    notes: Mutex<Notes>,
    /// How many changes wait, and whether some were left out since the last look at everything.
    waiting: AtomicUsize,
    left_out: AtomicBool,
}

#[derive(Default)]
struct Notes {
    not_restored: Vec<String>,
    lost: Option<String>,
}

impl WriterShared {
    /// Sends a change to the thread, unless too many wait. Returns false when the thread has ended.
    fn send(&self, changes: &Sender<WriterMessage>, announced: &Announcement) -> bool {
        if self.waiting.fetch_add(1, Ordering::AcqRel) < WAITING {
            return changes.send(WriterMessage::Change(announced.change.clone())).is_ok();
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        // one message is enough until the thread has read it
        self.left_out.swap(true, Ordering::AcqRel) || changes.send(WriterMessage::LeftOut).is_ok()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

/// The journal of a running daemon, for any thread.
#[derive(Clone)]
pub struct Journal {
    sender: Sender<WriterMessage>,
    shared: Arc<WriterShared>,
}

impl Journal {
    /// Starts the thread, which writes the whole state and from then on each change. `not_restored` has the sentences
    /// that [`restore`](super::restore()) returned.
    ///
    /// A disk that can't be written is no error. The log and [`Journal::notes`] say so, and the thread tries again.
    ///
    /// # Errors
    /// The error of clone(2) when no thread can be started.
    pub fn start(
        service: Service,
        store: Store,
        not_restored: Vec<String>,
        survivors: Survivors,
    ) -> std::io::Result<Journal> {
        let (sender, messages) = mpsc::channel();
        let notes = Mutex::new(Notes { not_restored, lost: None });
        let shared = Arc::new(WriterShared { notes, ..WriterShared::default() });
        let (changes, counted) = (sender.clone(), Arc::clone(&shared));
        service.observe(move |announced: &Announcement| counted.send(&changes, announced));
        let writer = Writer {
            scanner: Scanner {
                service,
                snapshot: Snapshot::new(JournalOrigin::current()),
                defaults: Defaults::new(),
            },
            store,
            survivors,
            shared: Arc::clone(&shared),
            pending: PendingScan::everything(),
            // the file is the journal of an earlier daemon, so the first write is a rewrite, at once
            failing: Some(Instant::now()),
            next_scan: None,
            scan_allowed: Instant::now(),
        };
        thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&messages))?;
        Ok(Journal { sender, shared })
    }

    /// Records a file view that is mounted.
    pub fn view(&self, view: ViewRecord) {
        self.shared.views.lock().unwrap_or_else(PoisonError::into_inner).insert(view.target.clone(), view);
        let _ = self.sender.send(WriterMessage::Views);
    }

    /// Records that the file view at a mount point was unmounted.
    pub fn view_gone(&self, target: &[u8]) {
        self.shared
            .views
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&EscapedBytes(target.to_vec()));
        let _ = self.sender.send(WriterMessage::Views);
    }

    /// The losses, one sentence each: state that was not restored, and since when the journal can't be written. They
    /// are `notRestored` of the control socket.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.not_restored.iter().chain(&notes.lost).cloned().collect()
    }

    /// Waits until the file has every change that happened before this call. Returns false if it can't be written.
    pub fn flush(&self) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        self.sender.send(WriterMessage::Flush(done)).is_ok() && wait.recv().unwrap_or(false)
    }

    /// Ends the thread. With `keep`, the file has the state of this moment for the next daemon; otherwise it is
    /// removed.
    pub fn stop(&self, keep: bool) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.sender.send(WriterMessage::Stop { keep, done }).is_ok() {
            let _ = wait.recv();
        }
    }
}

struct Writer {
    /// The scanner's snapshot is the state that the file has, or will have when it can be written.
    scanner: Scanner,
    store: Store,
    survivors: Survivors,
    shared: Arc<WriterShared>,
    pending: PendingScan,
    /// After a failed write: when to try again.
    failing: Option<Instant>,
    /// When to read membership next; `None` while no member would outlive the daemon.
    next_scan: Option<Instant>,
    /// The earliest time to read membership after an attach.
    scan_allowed: Instant,
}

impl Writer {
    fn run(mut self, messages: &Receiver<WriterMessage>) {
        let mut waiting = Vec::new();
        loop {
            let stop = self.gather(messages, &mut waiting);
            let alive = self.work();
            for done in waiting.drain(..) {
                let _ = done.send(self.failing.is_none());
            }
            if let Some((keep, done)) = stop {
                if !keep && let Err(error) = self.store.discard() {
                    tracing::warn!("the journal can't be taken away: {error}");
                }
                // the caller of `stop` may need the directory's lock at once
                drop(self);
                let _ = done.send(());
                return;
            }
            if !alive {
                return;
            }
        }
    }

    /// Waits for messages and handles those that are there. Returns the request to stop, if one came.
    fn gather(
        &mut self,
        messages: &Receiver<WriterMessage>,
        waiting: &mut Vec<SyncSender<bool>>,
    ) -> Option<(bool, SyncSender<()>)> {
        let mut message = if self.pending.all { messages.try_recv().ok() } else { self.wait(messages) };
        if matches!(message, Some(WriterMessage::Change(_))) {
            thread::sleep(GATHER);
        }
        for _ in 0..BATCH {
            match message? {
                WriterMessage::Change(what) => {
                    self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
                    self.pending.note(&what);
                }
                WriterMessage::LeftOut => {
                    // reset before the look: a change that is left out from now on asks for another one
                    self.shared.left_out.store(false, Ordering::Release);
                    self.pending = PendingScan::everything();
                }
                WriterMessage::Views => self.pending.views = true,
                WriterMessage::Flush(done) => {
                    self.scan_now();
                    waiting.push(done);
                }
                WriterMessage::Stop { keep, done } => {
                    // the next daemon needs the present members
                    if keep {
                        self.scan_now();
                    }
                    return Some((keep, done));
                }
            }
            message = messages.try_recv().ok();
        }
        None
    }

    /// Makes this round read membership and write to the file, however soon.
    fn scan_now(&mut self) {
        self.pending.members = true;
        self.scan_allowed = Instant::now();
        self.failing = self.failing.map(|_| Instant::now());
    }

    fn wait(&mut self, messages: &Receiver<WriterMessage>) -> Option<WriterMessage> {
        let Some(until) = self.failing.into_iter().chain(self.next_scan).min() else {
            return messages.recv().ok();
        };
        messages.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }

    /// Reads everything pending and writes the records. Returns false when the daemon is ending.
    fn work(&mut self) -> bool {
        let pending = std::mem::take(&mut self.pending);
        if pending.members {
            self.next_scan = Some(self.next_scan.map_or(self.scan_allowed, |at| at.min(self.scan_allowed)));
        }
        let scan_members = self.next_scan.is_some_and(|at| at <= Instant::now());
        let views = self.shared.views.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Ok(mut records) = self.scanner.scan(pending, &views) else { return false };
        if scan_members && self.scan_members(&mut records).is_err() {
            return false;
        }
        self.write(&records);
        true
    }

    fn scan_members(&mut self, records: &mut Vec<Record>) -> Result<(), Failure> {
        let (began, seen) = (Instant::now(), ProcStamp::now());
        let now = members::now(&self.scanner.service, &self.survivors)?;
        let pause = SCAN_INTERVAL.max(began.elapsed() * SCAN_SHARE);
        self.next_scan = (!now.is_empty()).then(|| Instant::now() + pause);
        self.scan_allowed = Instant::now() + SCAN_INTERVAL.min(began.elapsed() * SCAN_SHARE);
        if let Some(record) = members::difference(&self.scanner.snapshot, now, seen) {
            self.scanner.take(record, records);
        }
        Ok(())
    }

    fn write(&mut self, records: &[Record]) {
        let written = match self.failing {
            Some(retry) if retry > Instant::now() => return,
            Some(_) => self.store.rewrite(&self.scanner.snapshot),
            None if records.is_empty() => return,
            None => self.store.append(records, &self.scanner.snapshot),
        };
        let mut notes = self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Ok(()) => {
                self.failing = None;
                if notes.lost.take().is_some() {
                    tracing::info!("the journal is whole again");
                }
            }
            Err(error) => {
                self.failing = Some(Instant::now() + RETRY);
                if notes.lost.is_none() {
                    let since = SystemTime::now()
                        .duration_since(SystemTime::UNIX_EPOCH)
                        .unwrap_or_default()
                        .as_secs();
                    tracing::error!(
                        "the journal can't be written: {error}; the daemon goes on and tries again"
                    );
                    notes.lost = Some(format!(
                        "journal lost since {since} (seconds since 1970) until it can be written again: {error}; what changes \
                         meanwhile would not be restored"
                    ));
                }
            }
        }
    }
}
