//! Signals of the supervisor's own process.
//!
//! The command shares penfold's process group, so signals from the terminal reach it by themselves. Signals that a
//! process sends to penfold alone, as with kill(1), are forwarded.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::{mem, ptr};

use libc::c_int;

use penfold_core::Tid;

use super::{task, wakeup};

/// The signals that are forwarded to the command.
const FORWARDED: [c_int; 12] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// The signals that stop and continue.
pub(crate) fn is_job_control(signal: c_int) -> bool {
    matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU | libc::SIGCONT)
}

/// The signal state that this process was started with, before Rust's runtime and penfold changed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InheritedSignals {
    mask: u64,
    pipe_ignored: bool,
    child_ignored: bool,
}

static MASK: AtomicU64 = AtomicU64::new(0);
static IGNORED: AtomicU8 = AtomicU8::new(0);

/// Reads the inherited signal state. Rust's runtime ignores SIGPIPE before `main`, so this runs earlier.
extern "C" fn capture() {
    let mut mask = 0_u64;
    // SAFETY: the kernel writes the mask, which has 8 bytes in its own layout.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, ptr::null::<u64>(), &raw mut mask, 8);
    }
    MASK.store(mask, Ordering::Relaxed);
    let ignored = u8::from(is_ignored(libc::SIGPIPE)) | u8::from(is_ignored(libc::SIGCHLD)) << 1;
    IGNORED.store(ignored, Ordering::Relaxed);
}

// SAFETY: the section is a table of functions that the C library calls before main. `capture` makes system calls and
// stores to atomics only.
#[unsafe(link_section = ".init_array")]
#[used]
static CAPTURE: extern "C" fn() = capture;

/// The signal state that this process was started with.
pub(crate) fn inherited() -> InheritedSignals {
    // keeps the table entry in the program, however that is linked
    std::hint::black_box(&raw const CAPTURE);
    let ignored = IGNORED.load(Ordering::Relaxed);
    InheritedSignals {
        mask: MASK.load(Ordering::Relaxed),
        pipe_ignored: ignored & 1 != 0,
        child_ignored: ignored & 2 != 0,
    }
}

impl InheritedSignals {
    /// Restores the state in a child before exec. Async-signal-safe. Handlers need no care: exec resets them.
    pub(crate) fn restore(&self) {
        set_disposition(libc::SIGPIPE, self.pipe_ignored, 0);
        set_disposition(libc::SIGCHLD, self.child_ignored, 0);
        set_mask(self.mask);
    }
}

/// Gives every signal its default disposition and blocks none, in a child before exec. Async-signal-safe.
pub(crate) fn reset() {
    // the kernel's own structure: SIG_DFL, no flag, an empty mask
    let default = [0_u64; 4];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the kernel reads at most 32 bytes. The C library's function would leave out its own signals. The
        // calls for KILL and STOP fail.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u64>(), 8);
        }
    }
    set_mask(0);
}

fn set_mask(mask: u64) {
    // SAFETY: the kernel reads the mask, which has 8 bytes in its own layout.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            ptr::null_mut::<u64>(),
            8,
        );
    }
}

fn action(signal: c_int) -> libc::sigaction {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: changes no disposition; the kernel writes one sigaction.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action
}

fn is_ignored(signal: c_int) -> bool {
    action(signal).sa_sigaction == libc::SIG_IGN
}

fn set_disposition(signal: c_int, ignore: bool, flags: c_int) {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    action.sa_flags = flags;
    // SAFETY: installs no handler.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

/// Gives SIGCHLD a disposition that a tracer can work with.
///
/// An ignored SIGCHLD would have the kernel reap the command unseen. With the default action it would be sent for every
/// stop of every tracee. A handler of the embedding program stays.
pub(crate) fn prepare_sigchld() {
    let current = action(libc::SIGCHLD);
    if current.sa_sigaction == libc::SIG_DFL || current.sa_sigaction == libc::SIG_IGN {
        set_disposition(libc::SIGCHLD, false, libc::SA_NOCLDSTOP);
    }
}

/// Blocks every signal but the wake-up in the calling thread, a tracer.
pub(crate) fn block_all_but_wakeups() {
    set_mask(!(1 << (wakeup::signal() - 1)));
}

/// Stops this whole process with the signal that stopped the command, so that a parent which waits for this process
/// sees the same stop. Returns when a SIGCONT has continued the process. On a tracer thread.
pub(crate) fn stop_self(signal: c_int) {
    // an ignored signal would stop no process; the command has undone its inherited disposition
    let signal = if is_ignored(signal) { libc::SIGSTOP } else { signal };
    // The signal is sent first and unblocked then. The terminal's own may be pending for the whole process. Only
    // unblocked, that would stop this process once for itself and, after SIGCONT, again for ours. SIGCONT takes away
    // both.
    let _ = task::tgkill(Tid(std::process::id() as i32), task::gettid(), signal);
    set_mask(!(1 << (wakeup::signal() - 1) | 1 << (signal - 1)));
    block_all_but_wakeups();
}

/// The forwarded signals, blocked so that they can be waited for.
///
/// To be made on the main thread before any other thread starts, so that all threads inherit the mask.
#[derive(Debug)]
pub struct ForwardedSignals(libc::sigset_t);

impl ForwardedSignals {
    /// Blocks the signals, and the wake-up, in the calling thread.
    pub fn block() -> Self {
        // SAFETY: sigset_t is plain data, and sigemptyset initialises it.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: set is valid, and so are the signal numbers.
        unsafe {
            libc::sigemptyset(&raw mut set);
            for signal in FORWARDED {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::sigaddset(&raw mut set, wakeup::signal());
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        }
        Self(set)
    }

    /// Waits until `done` returns a value. It is called once before the wait and after every signal, SIGCHLD too.
    /// Meanwhile signals are forwarded with `pass`, as in [`ForwardedSignals::forward`], and `noticed` is called for
    /// every signal, those from the terminal too.
    pub(crate) fn forward_until<R>(
        &self,
        mut done: impl FnMut() -> Option<R>,
        pass: impl Fn(c_int, Tid),
        mut noticed: impl FnMut(c_int),
    ) -> R {
        let mut set = self.0;
        // SAFETY: set is valid, and so is the signal's number.
        unsafe {
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        }
        // an ignored SIGCHLD would have the kernel reap the child; without `SA_NOCLDSTOP` its stops are reported too
        set_disposition(libc::SIGCHLD, false, 0);
        loop {
            if let Some(result) = done() {
                return result;
            }
            if let Some((signal, sender)) = waited_signal(&set)
                && signal != libc::SIGCHLD
            {
                if let Some(sender) = sender {
                    pass(signal, sender);
                }
                noticed(signal);
            }
        }
    }

    /// Waits for signals until `ended` is set. A wake-up to this thread follows that store.
    ///
    /// Calls `pass` with each signal that a process sent, and with the sender's pid. Signals from the terminal
    /// (`SI_KERNEL`) have reached the command by themselves.
    pub(crate) fn forward(&self, ended: &AtomicBool, pass: impl Fn(c_int, Tid)) {
        while !ended.load(Ordering::Acquire) {
            if let Some((signal, sender)) = sent_signal(&self.0) {
                pass(signal, sender);
            }
        }
    }
}

/// Waits for one of these signals. Returns it with its sender if a process has sent it.
///
/// `None` for a wake-up and for a signal from the kernel. Also for `EINTR`, which follows a stop of this process.
fn sent_signal(set: &libc::sigset_t) -> Option<(c_int, Tid)> {
    let (signal, sender) = waited_signal(set)?;
    Some((signal, sender?))
}

/// Waits for one of these signals, and returns it with its sender; `None` in place of the kernel.
///
/// `None` for a wake-up, and for `EINTR`, which follows a stop of this process.
fn waited_signal(set: &libc::sigset_t) -> Option<(c_int, Option<Tid>)> {
    // SAFETY: siginfo_t is plain data, for which zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: set and info are valid.
    let signal = unsafe { libc::sigwaitinfo(set, &raw mut info) };
    let sent = matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL);
    // SAFETY: si_pid reads a union field that is plain data in every variant.
    let sender = Tid(unsafe { info.si_pid() });
    (signal > 0 && signal != wakeup::signal()).then_some((signal, Some(sender).filter(|_| sent)))
}
