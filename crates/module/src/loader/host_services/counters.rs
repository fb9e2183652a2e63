//! Services about counters and CPU time.

use std::ffi::c_int;

use penfold_core::Errno;

use super::contract::services;
use crate::abi;
use crate::answer::code;

services! {
    fn counter(call, css: u32, rule: u32, counter: out abi::RawCounter) -> c_int {
        let Some(counter) = counter else { return code(Errno::EFAULT) };
        *counter = abi::RawCounter::default();
        call.attempt_rule(css, rule, |services, css, rule| {
            let found = services.counter(css, rule);
            *counter = abi::RawCounter {
                usage: found.usage,
                limit: found.limit,
                peak: found.peak,
                failures: found.failures,
                refused: found.refused,
            };
            Ok(())
        })
    }

    fn set_limit(call, css: u32, rule: u32, limit: u64) -> c_int {
        call.attempt_rule(css, rule, |services, css, rule| services.set_limit(css, rule, limit))
    }

    fn reset_peak(call, css: u32, rule: u32) -> c_int {
        call.attempt_rule(css, rule, |services, css, rule| {
            services.reset_peak(css, rule);
            Ok(())
        })
    }

    fn set_refusing(call, refusing: c_int) -> c_int {
        let Some(css) = call.frame().map(|frame| frame.css) else { return code(Errno::EFAULT) };
        call.attempt(|services| services.set_may_refuse_fork(css, refusing != 0))
    }

    fn cpu_usage(call, css: u32, list: out [abi::RawCpuTime; capacity]) -> usize {
        if !call.frame().is_some_and(|frame| frame.counts_cpu_time) {
            return 0;
        }
        let times = call.with_css(css, Vec::new(), |services, css| {
            let usage = services.cpu_usage(css);
            (0..services.cpu_limit()).map(|cpu| usage.on(cpu)).collect()
        });
        let times = times.into_iter().map(|time| abi::RawCpuTime { user: time.user, system: time.system });
        list.fill(&times.collect::<Vec<_>>())
    }

    fn reset_cpu_usage(call, css: u32) -> c_int {
        if !call.frame().is_some_and(|frame| frame.counts_cpu_time) {
            return code(Errno::EINVAL);
        }
        call.with_css(css, code(Errno::EINVAL), |services, css| {
            services.reset_cpu_usage(css);
            0
        })
    }
}
