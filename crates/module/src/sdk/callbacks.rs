//! The callbacks of a description: each finds the subsystem and calls its method.

use std::ffi::{c_int, c_void};
use std::slice;

use penfold_core::{Css, Errno, Loaded, Migration, Result, Subsystem, Tid};

use super::describe::Make;
use super::panics::caught;
use super::remote::Remote;
use crate::abi::{self, Context};

pub(super) const fn code(errno: Errno) -> c_int {
    -errno.number()
}

/// Runs a callback; `None` if it has panicked, which is reported.
///
/// # Safety
/// `ctx` is that of a callback under way of a module that [`load`] has made with the same `S`.
pub(super) unsafe fn run<S: Subsystem, R>(
    ctx: *mut Context,
    body: impl FnOnce(&mut Loaded<S>, &mut Remote, Css) -> R,
) -> Option<R> {
    // SAFETY: the context is valid until the callback returns.
    let (module, css) = unsafe { ((*ctx).module.cast::<Loaded<S>>(), Css::from_number((*ctx).css)) };
    // SAFETY: as above, and it is not kept longer.
    let mut remote = unsafe { Remote::new(ctx, S::RULES.len()) };
    // SAFETY: `load` has made it, and callbacks run one at a time.
    let loaded = unsafe { &mut *module };
    caught(|| body(loaded, &mut remote, css)).map_err(|text| remote.failed(&text)).ok()
}

/// The same for a callback that can fail.
///
/// # Safety
/// As [`run`].
pub(super) unsafe fn attempt<S: Subsystem>(
    ctx: *mut Context,
    body: impl FnOnce(&mut Loaded<S>, &mut Remote, Css) -> Result<()>,
) -> c_int {
    let body = |loaded: &mut Loaded<S>, remote: &mut Remote, css: Css| {
        let result = body(loaded, remote, css);
        remote.conclude(result)
    };
    // SAFETY: as the caller says.
    unsafe { run(ctx, body) }.unwrap_or(code(Errno::EIO))
}

unsafe fn migrations(tasks: *const abi::Migration, count: usize) -> Vec<Migration> {
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: the loader passes so many of them.
    let tasks = unsafe { slice::from_raw_parts(tasks, count) };
    let moved = |one: &abi::Migration| Migration {
        task: Tid(one.task),
        from: Css::from_number(one.from),
        to: Css::from_number(one.to),
    };
    tasks.iter().map(moved).collect()
}

pub(super) unsafe extern "C" fn load<M: Make>(module: *mut *mut c_void) -> c_int {
    match caught(|| Box::new(Loaded::new(M::make()))) {
        Ok(loaded) => {
            // SAFETY: the loader has room for a pointer there.
            unsafe { *module = Box::into_raw(loaded).cast() };
            0
        }
        Err(_) => code(Errno::EIO),
    }
}

pub(super) unsafe extern "C" fn unload<S: Subsystem>(module: *mut c_void) {
    // SAFETY: `load` has made it, and nothing is called with it afterwards.
    let loaded = unsafe { Box::from_raw(module.cast::<Loaded<S>>()) };
    let _ = caught(|| drop(loaded));
}

pub(super) unsafe extern "C" fn create<S: Subsystem>(ctx: *mut Context, state: *mut *mut c_void) -> c_int {
    // SAFETY: as `run`. The loader has room for a pointer. States are kept in `Loaded`; what is given out only has to
    // be something, so that `Services::state` tells a css that is alive.
    unsafe {
        attempt::<S>(ctx, |loaded, remote, css| {
            loaded.create(remote, css)?;
            *state = (*ctx).module;
            Ok(())
        })
    }
}

pub(super) unsafe extern "C" fn destroy<S: Subsystem>(ctx: *mut Context) {
    // SAFETY: as `run`.
    unsafe { run::<S, _>(ctx, |loaded, remote, css| loaded.destroy(remote, css)) };
}

pub(super) unsafe extern "C" fn pre_destroy<S: Subsystem>(ctx: *mut Context) -> c_int {
    // SAFETY: as `run`.
    unsafe { attempt::<S>(ctx, |loaded, remote, css| loaded.with(remote, css, S::pre_destroy)) }
}

pub(super) unsafe extern "C" fn can_attach<S: Subsystem>(
    ctx: *mut Context,
    tasks: *const abi::Migration,
    count: usize,
) -> c_int {
    // SAFETY: as `run` and `migrations`.
    unsafe {
        attempt::<S>(ctx, |loaded, remote, css| {
            let tasks = migrations(tasks, count);
            loaded.with(remote, css, |subsystem, ctx| subsystem.can_attach(ctx, &tasks))
        })
    }
}

pub(super) unsafe extern "C" fn cancel_attach<S: Subsystem>(
    ctx: *mut Context,
    tasks: *const abi::Migration,
    count: usize,
) {
    // SAFETY: as `run` and `migrations`.
    unsafe {
        run::<S, _>(ctx, |loaded, remote, css| {
            let tasks = migrations(tasks, count);
            loaded.with(remote, css, |subsystem, ctx| subsystem.cancel_attach(ctx, &tasks));
        });
    }
}

pub(super) unsafe extern "C" fn attach<S: Subsystem>(
    ctx: *mut Context,
    tasks: *const abi::Migration,
    count: usize,
) {
    // SAFETY: as `run` and `migrations`.
    unsafe {
        run::<S, _>(ctx, |loaded, remote, css| {
            let tasks = migrations(tasks, count);
            loaded.with(remote, css, |subsystem, ctx| subsystem.attach(ctx, &tasks));
        });
    }
}

pub(super) unsafe extern "C" fn can_fork<S: Subsystem>(ctx: *mut Context, parent: i32) -> c_int {
    // SAFETY: as `run`.
    unsafe {
        attempt::<S>(ctx, |loaded, remote, css| {
            loaded.with(remote, css, |subsystem, ctx| subsystem.can_fork(ctx, Tid(parent)))
        })
    }
}

pub(super) unsafe extern "C" fn cancel_fork<S: Subsystem>(ctx: *mut Context) {
    // SAFETY: as `run`.
    unsafe { run::<S, _>(ctx, |loaded, remote, css| loaded.with(remote, css, S::cancel_fork)) };
}

pub(super) unsafe extern "C" fn fork<S: Subsystem>(ctx: *mut Context, child: i32) {
    // SAFETY: as `run`.
    unsafe {
        run::<S, _>(ctx, |loaded, remote, css| {
            loaded.with(remote, css, |subsystem, ctx| subsystem.fork(ctx, Tid(child)));
        });
    }
}

pub(super) unsafe extern "C" fn exit<S: Subsystem>(ctx: *mut Context, task: i32) {
    // SAFETY: as `run`.
    unsafe {
        run::<S, _>(ctx, |loaded, remote, css| {
            loaded.with(remote, css, |subsystem, ctx| subsystem.exit(ctx, Tid(task)));
        });
    }
}

pub(super) unsafe extern "C" fn post_clone<S: Subsystem>(ctx: *mut Context) {
    // SAFETY: as `run`.
    unsafe { run::<S, _>(ctx, |loaded, remote, css| loaded.with(remote, css, S::post_clone)) };
}

pub(super) unsafe extern "C" fn bind<S: Subsystem>(ctx: *mut Context) {
    // SAFETY: as `run`.
    unsafe { run::<S, _>(ctx, |loaded, remote, css| loaded.with(remote, css, S::bind)) };
}
