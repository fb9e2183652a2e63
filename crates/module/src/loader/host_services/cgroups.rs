//! The module's own states, and the cgroups they are of.

use std::ffi::{c_char, c_int, c_void};

use penfold_core::Css;

use super::ask::{ask_of, fill, frame};
use crate::abi::{self, Context};

pub(super) unsafe extern "C" fn state(ctx: *mut Context, css: u32) -> *mut c_void {
    // SAFETY: as `frame`.
    unsafe { frame(ctx) }.map_or(std::ptr::null_mut(), |frame| frame.state(css))
}

pub(super) unsafe extern "C" fn parent(ctx: *mut Context, css: u32) -> u32 {
    // SAFETY: as `frame`.
    unsafe {
        ask_of(ctx, css, abi::NO_CSS, |services, css| {
            services.parent_of(css).map_or(abi::NO_CSS, Css::number)
        })
    }
}

pub(super) unsafe extern "C" fn children(
    ctx: *mut Context,
    css: u32,
    list: *mut u32,
    capacity: usize,
) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let children = ask_of(ctx, css, Vec::new(), |services, css| services.children_of(css));
        let children: Vec<u32> = children.into_iter().map(Css::number).collect();
        fill(&children, list, capacity)
    }
}

pub(super) unsafe extern "C" fn tasks(ctx: *mut Context, css: u32, list: *mut i32, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let tasks = ask_of(ctx, css, Vec::new(), |services, css| services.tasks_of(css));
        let tasks: Vec<i32> = tasks.into_iter().map(|task| task.0).collect();
        fill(&tasks, list, capacity)
    }
}

pub(super) unsafe extern "C" fn has_tasks(ctx: *mut Context, css: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask_of(ctx, css, 0, |services, css| services.has_tasks(css).into()) }
}

pub(super) unsafe extern "C" fn path(
    ctx: *mut Context,
    css: u32,
    list: *mut c_char,
    capacity: usize,
) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let path = ask_of(ctx, css, Vec::new(), |services, css| services.path_of(css));
        fill(&path, list.cast(), capacity)
    }
}

pub(super) unsafe extern "C" fn hierarchy_flags(ctx: *mut Context, css: u32) -> u32 {
    // SAFETY: as `frame`.
    unsafe { ask_of(ctx, css, 0, |services, css| services.hierarchy_flags(css).bits()) }
}
