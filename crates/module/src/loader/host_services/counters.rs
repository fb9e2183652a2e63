//! Counters and CPU time.

use std::ffi::c_int;

use penfold_core::{Css, Errno};

use super::ask::{ask_of, code, fill, frame, try_ask, try_ask_rule};
use crate::abi::{self, Context};

pub(super) unsafe extern "C" fn counter(
    ctx: *mut Context,
    css: u32,
    rule: u32,
    counter: *mut abi::Counter,
) -> c_int {
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

pub(super) unsafe extern "C" fn set_limit(ctx: *mut Context, css: u32, rule: u32, limit: u64) -> c_int {
    // SAFETY: as `frame`.
    unsafe { try_ask_rule(ctx, css, rule, |services, css, rule| services.set_limit(css, rule, limit)) }
}

pub(super) unsafe extern "C" fn reset_peak(ctx: *mut Context, css: u32, rule: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe {
        try_ask_rule(ctx, css, rule, |services, css, rule| {
            services.reset_peak(css, rule);
            Ok(())
        })
    }
}

pub(super) unsafe extern "C" fn set_refusing(ctx: *mut Context, refusing: c_int) -> c_int {
    // SAFETY: as `frame`.
    unsafe {
        let Some(css) = ctx.as_ref().map(|ctx| Css::from_number(ctx.css)) else { return code(Errno::EFAULT) };
        try_ask(ctx, |services| services.set_refusing(css, refusing != 0))
    }
}

pub(super) unsafe extern "C" fn cpu_usage(
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

pub(super) unsafe extern "C" fn reset_cpu_usage(ctx: *mut Context, css: u32) -> c_int {
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
