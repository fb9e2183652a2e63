//! The callbacks of a description: each finds the subsystem and calls its method.
//!
//! # The contract
//! The loader guarantees the following, as `penfold.h` says. The functions of this module and of
//! [`handlers`](super::handlers) rely on it:
//! * `ctx` is the context of a callback under way, of a module that [`load`] has made with the same `S`. No other
//!   callback of the module runs until this callback returns.
//! * A pointer to a result has memory for the result. Lists and texts have the lengths that are given. All of them stay
//!   until the callback returns.

use std::ffi::{c_int, c_void};
use std::slice;

use penfold_core::{
    Errno, Result, Tid,
    internal::Loaded,
    subsystem::{Css, Migration, Subsystem},
};

use super::make::Make;
use super::panics::caught;
use super::remote_services::RemoteServices;
use crate::abi::{self, RawContext};
use crate::answer::code;

/// Runs a callback. Reports a panic, and returns `None` then.
///
/// # Safety
/// The contract.
unsafe fn run<S: Subsystem, R>(
    ctx: *mut RawContext,
    body: impl FnOnce(&mut Loaded<S>, &mut RemoteServices, Css) -> R,
) -> Option<R> {
    // SAFETY: the context is valid until the callback returns, and `remote` is not kept longer. `load` has made the
    // module, and callbacks run one at a time.
    let (loaded, css, mut remote) = unsafe {
        let module = (*ctx).module.cast::<Loaded<S>>();
        (&mut *module, Css::from_number((*ctx).css), RemoteServices::new(ctx, S::RULES.len()))
    };
    caught(|| body(loaded, &mut remote, css)).map_err(|text| remote.failed(&text)).ok()
}

/// Runs a callback that can fail, and returns its answer: `-EIO` after a panic.
///
/// # Safety
/// The contract.
pub(super) unsafe fn attempt<S: Subsystem>(
    ctx: *mut RawContext,
    body: impl FnOnce(&mut Loaded<S>, &mut RemoteServices, Css) -> Result<()>,
) -> c_int {
    let body = |loaded: &mut Loaded<S>, remote: &mut RemoteServices, css: Css| {
        let result = body(loaded, remote, css);
        remote.conclude(result)
    };
    // SAFETY: the caller vouches for the contract.
    unsafe { run(ctx, body) }.unwrap_or(code(Errno::EIO))
}

/// Defines callbacks, `fallible` or `infallible`. `moves tasks` is an argument: the list of tasks that move.
macro_rules! callbacks {
    () => {};
    ($kind:ident $name:ident($($number:ident: $type:ty)?)
        |$subsystem:ident, $ctx:ident| $body:expr; $($rest:tt)*) => {
        callbacks! { @define $kind $name [$($number: $type)?] [] |$subsystem, $ctx| $body }
        callbacks! { $($rest)* }
    };
    ($kind:ident $name:ident(moves $tasks:ident) |$subsystem:ident, $ctx:ident| $body:expr; $($rest:tt)*) => {
        callbacks! { @define $kind $name [tasks: *const abi::RawMigration, count: usize]
            [let $tasks = migrations(tasks, count);] |$subsystem, $ctx| $body }
        callbacks! { $($rest)* }
    };
    (@define fallible $name:ident [$($c:ident: $type:ty),*] [$(let $typed:ident = $made:expr;)?]
        |$subsystem:ident, $ctx:ident| $body:expr) => {
        /// # Safety
        /// The contract.
        pub(super) unsafe extern "C" fn $name<S: Subsystem>(ctx: *mut RawContext $(, $c: $type)*) -> c_int {
            $(
                // SAFETY: the caller vouches for the contract.
                let $typed = unsafe { $made };
            )?
            let method = |$subsystem: &mut S, $ctx: &mut penfold_core::subsystem::Context<'_, S>| $body;
            // SAFETY: the caller vouches for the contract.
            unsafe { attempt::<S>(ctx, |loaded, remote, css| loaded.with(remote, css, method)) }
        }
    };
    (@define infallible $name:ident [$($c:ident: $type:ty),*] [$(let $typed:ident = $made:expr;)?]
        |$subsystem:ident, $ctx:ident| $body:expr) => {
        /// # Safety
        /// The contract.
        pub(super) unsafe extern "C" fn $name<S: Subsystem>(ctx: *mut RawContext $(, $c: $type)*) {
            $(
                // SAFETY: the caller vouches for the contract.
                let $typed = unsafe { $made };
            )?
            let method = |$subsystem: &mut S, $ctx: &mut penfold_core::subsystem::Context<'_, S>| $body;
            // SAFETY: the caller vouches for the contract.
            unsafe { run::<S, _>(ctx, |loaded, remote, css| loaded.with(remote, css, method)) };
        }
    };
}

callbacks! {
    fallible pre_destroy() |subsystem, ctx| subsystem.pre_destroy(ctx);
    fallible can_attach(moves tasks) |subsystem, ctx| subsystem.can_attach(ctx, &tasks);
    infallible cancel_attach(moves tasks) |subsystem, ctx| subsystem.cancel_attach(ctx, &tasks);
    infallible attach(moves tasks) |subsystem, ctx| subsystem.attach(ctx, &tasks);
    fallible can_fork(parent: i32) |subsystem, ctx| subsystem.can_fork(ctx, Tid(parent));
    infallible cancel_fork() |subsystem, ctx| subsystem.cancel_fork(ctx);
    infallible fork(child: i32) |subsystem, ctx| subsystem.fork(ctx, Tid(child));
    infallible exit(task: i32) |subsystem, ctx| subsystem.exit(ctx, Tid(task));
    infallible post_clone() |subsystem, ctx| subsystem.post_clone(ctx);
    infallible bind() |subsystem, ctx| subsystem.bind(ctx);
}

/// # Safety
/// The contract.
unsafe fn migrations(tasks: *const abi::RawMigration, count: usize) -> Vec<Migration> {
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller vouches for the contract.
    let tasks = unsafe { slice::from_raw_parts(tasks, count) };
    let moved = |one: &abi::RawMigration| Migration {
        task: Tid(one.task),
        from: Css::from_number(one.from),
        to: Css::from_number(one.to),
    };
    tasks.iter().map(moved).collect()
}

/// # Safety
/// `module` points to memory for a pointer.
pub(super) unsafe extern "C" fn load<M: Make>(module: *mut *mut c_void) -> c_int {
    match caught(|| Box::new(Loaded::new(M::make()))) {
        Ok(loaded) => {
            // SAFETY: the caller vouches for the memory.
            unsafe { *module = Box::into_raw(loaded).cast() };
            0
        }
        Err(_) => code(Errno::EIO),
    }
}

/// # Safety
/// [`load`] has made `module` with the same `S`. Nothing is called with `module` afterwards.
pub(super) unsafe extern "C" fn unload<S: Subsystem>(module: *mut c_void) {
    // SAFETY: the caller vouches for it.
    let loaded = unsafe { Box::from_raw(module.cast::<Loaded<S>>()) };
    let _ = caught(|| drop(loaded));
}

/// `Loaded` keeps the states. The pointer that is stored only has to be no NULL, so that `is_alive` finds the css.
///
/// # Safety
/// The contract.
pub(super) unsafe extern "C" fn create<S: Subsystem>(ctx: *mut RawContext, state: *mut *mut c_void) -> c_int {
    // SAFETY: the caller vouches for the contract.
    let (module, state) = unsafe { ((*ctx).module, &mut *state) };
    let body = |loaded: &mut Loaded<S>, remote: &mut RemoteServices, css: Css| {
        loaded.create(remote, css)?;
        *state = module;
        Ok(())
    };
    // SAFETY: as above.
    unsafe { attempt(ctx, body) }
}

/// # Safety
/// The contract.
pub(super) unsafe extern "C" fn destroy<S: Subsystem>(ctx: *mut RawContext) {
    // SAFETY: the caller vouches for the contract.
    unsafe { run::<S, _>(ctx, |loaded, remote, css| loaded.destroy(remote, css)) };
}
