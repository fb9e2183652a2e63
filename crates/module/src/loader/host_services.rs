//! The services that a module's callbacks find in their context. These functions run on the module's thread; what needs
//! the engine or the host is run by the engine's thread, which waits for exactly that.
//!
//! Whatever a module passes is looked at first: a css that is not its own, a rule that it has not, a NULL. What can't be
//! told from a good pointer is trusted, as everywhere in C.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;

use penfold_core::{Css, Errno, Error, Mask, Need, Result, Services, Tid};

use super::guest::Frame;
use crate::abi::{self, Context};

/// What every context points to.
pub(super) static TABLE: abi::Services = abi::Services {
    state,
    parent,
    children,
    tasks,
    has_tasks,
    path,
    hierarchy_flags,
    counter,
    set_limit,
    reset_peak,
    set_refusing,
    cpu_usage,
    reset_cpu_usage,
    caller,
    caller_groups,
    require,
    task,
    threads,
    now,
    cpus,
    memory_nodes,
    cpu_limit,
    node_limit,
    set_affinity,
    set_memory_nodes,
    freeze,
    thaw,
    is_frozen,
    set_socket_class,
    signal,
    put,
    put_line,
    explain,
    log,
    failed,
};

const fn code(errno: Errno) -> c_int {
    -errno.number()
}

/// The callback under way; `None` for a NULL context.
unsafe fn frame<'a>(ctx: *mut Context) -> Option<&'a mut Frame<'a>> {
    // SAFETY: a context that is not NULL is the one of the callback under way, whose frame only this thread touches.
    unsafe { ctx.as_ref().and_then(|ctx| ctx.engine.cast::<Frame<'a>>().as_mut()) }
}

/// Asks the engine's thread; `otherwise` without a context.
unsafe fn ask<R>(ctx: *mut Context, otherwise: R, request: impl FnOnce(&mut dyn Services) -> R) -> R {
    // SAFETY: as `frame`.
    match unsafe { frame(ctx) } {
        Some(frame) => frame.ask(request),
        None => otherwise,
    }
}

/// The same about a css, which has to be one of the module's own.
unsafe fn ask_of<R>(
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
unsafe fn try_ask(ctx: *mut Context, request: impl FnOnce(&mut dyn Services) -> Result<()>) -> c_int {
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
unsafe fn try_ask_rule(
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

fn plain(answer: Result<(), Errno>) -> c_int {
    answer.map_or_else(code, |()| 0)
}

/// Writes a list, as far as there is room.
unsafe fn fill<T: Copy>(items: &[T], list: *mut T, capacity: usize) -> usize {
    if !list.is_null() {
        // SAFETY: the module has room for `capacity` items there.
        unsafe { items.as_ptr().copy_to(list, items.len().min(capacity)) };
    }
    items.len()
}

unsafe fn bytes<'a>(text: *const c_char, length: usize) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: the module says that so many bytes are there.
    unsafe { slice::from_raw_parts(text.cast(), length) }
}

unsafe fn text(text: *const c_char, length: usize) -> String {
    // SAFETY: as `bytes`.
    String::from_utf8_lossy(unsafe { bytes(text, length) }).into_owned()
}

unsafe fn mask(words: *const u64, count: usize) -> Option<Mask> {
    if words.is_null() {
        return None;
    }
    // SAFETY: the module says that so many words are there.
    Some(Mask::from_words(unsafe { slice::from_raw_parts(words, count) }))
}

unsafe extern "C" fn state(ctx: *mut Context, css: u32) -> *mut c_void {
    // SAFETY: as `frame`.
    unsafe { frame(ctx) }.map_or(std::ptr::null_mut(), |frame| frame.state(css))
}

unsafe extern "C" fn parent(ctx: *mut Context, css: u32) -> u32 {
    // SAFETY: as `frame`.
    unsafe {
        ask_of(ctx, css, abi::NO_CSS, |services, css| {
            services.parent_of(css).map_or(abi::NO_CSS, Css::number)
        })
    }
}

unsafe extern "C" fn children(ctx: *mut Context, css: u32, list: *mut u32, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let children = ask_of(ctx, css, Vec::new(), |services, css| services.children_of(css));
        let children: Vec<u32> = children.into_iter().map(Css::number).collect();
        fill(&children, list, capacity)
    }
}

unsafe extern "C" fn tasks(ctx: *mut Context, css: u32, list: *mut i32, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let tasks = ask_of(ctx, css, Vec::new(), |services, css| services.tasks_of(css));
        let tasks: Vec<i32> = tasks.into_iter().map(|task| task.0).collect();
        fill(&tasks, list, capacity)
    }
}

unsafe extern "C" fn has_tasks(ctx: *mut Context, css: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask_of(ctx, css, 0, |services, css| services.has_tasks(css).into()) }
}

unsafe extern "C" fn path(ctx: *mut Context, css: u32, list: *mut c_char, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let path = ask_of(ctx, css, Vec::new(), |services, css| services.path_of(css));
        fill(&path, list.cast(), capacity)
    }
}

unsafe extern "C" fn hierarchy_flags(ctx: *mut Context, css: u32) -> u32 {
    // SAFETY: as `frame`.
    unsafe { ask_of(ctx, css, 0, |services, css| services.hierarchy_flags(css).bits()) }
}

unsafe extern "C" fn counter(ctx: *mut Context, css: u32, rule: u32, counter: *mut abi::Counter) -> c_int {
    let mut found = abi::Counter::default();
    // SAFETY: as `frame`; a place that is not NULL has room for a counter.
    unsafe {
        let Some(place) = counter.as_mut() else { return code(Errno::EFAULT) };
        let answer = try_ask_rule(ctx, css, rule, |services, css, rule| {
            let counter = services.counter(css, rule);
            found = abi::Counter {
                usage: counter.usage,
                limit: counter.limit,
                peak: counter.peak,
                failures: counter.failures,
                refused: counter.refused,
            };
            Ok(())
        });
        *place = found;
        answer
    }
}

unsafe extern "C" fn set_limit(ctx: *mut Context, css: u32, rule: u32, limit: u64) -> c_int {
    // SAFETY: as `frame`.
    unsafe { try_ask_rule(ctx, css, rule, |services, css, rule| services.set_limit(css, rule, limit)) }
}

unsafe extern "C" fn reset_peak(ctx: *mut Context, css: u32, rule: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe {
        try_ask_rule(ctx, css, rule, |services, css, rule| {
            services.reset_peak(css, rule);
            Ok(())
        })
    }
}

unsafe extern "C" fn set_refusing(ctx: *mut Context, refusing: c_int) -> c_int {
    // SAFETY: as `frame`.
    unsafe {
        let Some(css) = ctx.as_ref().map(|ctx| Css::from_number(ctx.css)) else { return code(Errno::EFAULT) };
        try_ask(ctx, |services| services.set_refusing(css, refusing != 0))
    }
}

unsafe extern "C" fn cpu_usage(
    ctx: *mut Context,
    css: u32,
    list: *mut abi::CpuTime,
    capacity: usize,
) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        if !frame(ctx).is_some_and(|frame| frame.counts_cpu_time) {
            return 0;
        }
        let times = ask_of(ctx, css, Vec::new(), |services, css| {
            let usage = services.cpu_usage(css);
            (0..services.cpu_limit()).map(|cpu| usage.on(cpu)).collect()
        });
        let times: Vec<_> =
            times.into_iter().map(|time| abi::CpuTime { user: time.user, system: time.system }).collect();
        fill(&times, list, capacity)
    }
}

unsafe extern "C" fn reset_cpu_usage(ctx: *mut Context, css: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe {
        if !frame(ctx).is_some_and(|frame| frame.counts_cpu_time) {
            return code(Errno::EINVAL);
        }
        ask_of(ctx, css, code(Errno::EINVAL), |services, css| {
            services.reset_cpu_usage(css);
            0
        })
    }
}

unsafe extern "C" fn caller(ctx: *mut Context, caller: *mut abi::Caller) -> c_int {
    // SAFETY: as `frame`; a place that is not NULL has room for a caller.
    unsafe {
        let found = ask(ctx, None, |services| {
            services.caller().map(|caller| abi::Caller {
                task: caller.task.0,
                uid: caller.uid,
                gid: caller.gid,
                umask: caller.umask,
                privileged: caller.privileged.into(),
            })
        });
        if let (Some(found), Some(place)) = (found, caller.as_mut()) {
            *place = found;
        }
        found.is_some().into()
    }
}

unsafe extern "C" fn caller_groups(ctx: *mut Context, list: *mut u32, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let groups = ask(ctx, Vec::new(), |services| {
            services.caller().map(|caller| caller.groups.clone()).unwrap_or_default()
        });
        fill(&groups, list, capacity)
    }
}

unsafe extern "C" fn require(ctx: *mut Context, need: u32) -> c_int {
    let need = match need {
        abi::NEED_FORK_VETO => Need::ForkVeto,
        abi::NEED_AFFINITY => Need::Affinity,
        abi::NEED_MEMORY_NODES => Need::MemoryNodes,
        abi::NEED_FREEZE => Need::Freeze,
        abi::NEED_SOCKET_CLASS => Need::SocketClass,
        _ => return code(Errno::EINVAL),
    };
    // SAFETY: as `frame`.
    unsafe { try_ask(ctx, |services| services.require(need)) }
}

unsafe extern "C" fn task(ctx: *mut Context, task: i32, facts: *mut abi::TaskFacts) -> c_int {
    // SAFETY: as `frame`; a place that is not NULL has room for the facts.
    unsafe {
        let Some(place) = facts.as_mut() else { return code(Errno::EFAULT) };
        let Some(facts) = ask(ctx, None, |services| services.task(Tid(task))) else {
            return code(Errno::ESRCH);
        };
        *place = abi::TaskFacts {
            group: facts.group.0,
            real_uid: facts.real_uid,
            saved_uid: facts.saved_uid,
            movable: facts.movable.into(),
            exiting: facts.exiting.into(),
            forking: facts.forking.into(),
        };
        0
    }
}

unsafe extern "C" fn threads(ctx: *mut Context, group: i32, list: *mut i32, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let threads = ask(ctx, Vec::new(), |services| services.threads_of(Tid(group)));
        let threads: Vec<i32> = threads.into_iter().map(|task| task.0).collect();
        fill(&threads, list, capacity)
    }
}

unsafe extern "C" fn now(ctx: *mut Context) -> u64 {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.now()) }
}

unsafe extern "C" fn cpus(ctx: *mut Context, list: *mut u64, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe { fill(&ask(ctx, Vec::new(), |services| services.cpus().to_words()), list, capacity) }
}

unsafe extern "C" fn memory_nodes(ctx: *mut Context, list: *mut u64, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe { fill(&ask(ctx, Vec::new(), |services| services.memory_nodes().to_words()), list, capacity) }
}

unsafe extern "C" fn cpu_limit(ctx: *mut Context) -> usize {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.cpu_limit()) }
}

unsafe extern "C" fn node_limit(ctx: *mut Context) -> usize {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.node_limit()) }
}

unsafe extern "C" fn set_affinity(ctx: *mut Context, task: i32, cpus: *const u64, words: usize) -> c_int {
    // SAFETY: as `frame` and `mask`.
    unsafe {
        let Some(cpus) = mask(cpus, words) else { return code(Errno::EFAULT) };
        ask(ctx, code(Errno::EFAULT), |services| plain(services.set_affinity(Tid(task), &cpus)))
    }
}

unsafe extern "C" fn set_memory_nodes(
    ctx: *mut Context,
    task: i32,
    from: *const u64,
    from_words: usize,
    to: *const u64,
    to_words: usize,
    migrate: c_int,
) -> c_int {
    // SAFETY: as `frame` and `mask`.
    unsafe {
        let (Some(from), Some(to)) = (mask(from, from_words), mask(to, to_words)) else {
            return code(Errno::EFAULT);
        };
        ask(ctx, code(Errno::EFAULT), |services| {
            plain(services.set_memory_nodes(Tid(task), &from, &to, migrate != 0))
        })
    }
}

unsafe extern "C" fn freeze(ctx: *mut Context, task: i32) {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, (), |services| services.freeze(Tid(task))) }
}

unsafe extern "C" fn thaw(ctx: *mut Context, task: i32) {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, (), |services| services.thaw(Tid(task))) }
}

unsafe extern "C" fn is_frozen(ctx: *mut Context, task: i32) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.is_frozen(Tid(task)).into()) }
}

unsafe extern "C" fn set_socket_class(ctx: *mut Context, task: i32, class: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, code(Errno::EFAULT), |services| plain(services.set_socket_class(Tid(task), class))) }
}

unsafe extern "C" fn signal(ctx: *mut Context, task: i32, signal: c_int) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, code(Errno::EFAULT), |services| plain(services.signal(Tid(task), signal))) }
}

unsafe extern "C" fn put(ctx: *mut Context, text: *const c_char, length: usize) {
    // SAFETY: as `frame` and `bytes`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.text.extend_from_slice(bytes(text, length));
        }
    }
}

unsafe extern "C" fn put_line(ctx: *mut Context, key: *const c_char, value: u64) {
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

unsafe extern "C" fn explain(ctx: *mut Context, reason: *const c_char, length: usize) {
    // SAFETY: as `frame` and `text`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.explanation = Some(text(reason, length));
        }
    }
}

unsafe extern "C" fn log(ctx: *mut Context, line: *const c_char, length: usize) {
    // SAFETY: as `frame` and `text`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            tracing::info!(module = frame.name, "{}", text(line, length));
        }
    }
}

unsafe extern "C" fn failed(ctx: *mut Context, how: *const c_char, length: usize) {
    // SAFETY: as `frame` and `text`.
    unsafe {
        if let Some(frame) = frame(ctx) {
            frame.said.failure = Some(text(how, length));
        }
    }
}
