//! Services about the module's own states and their cgroups.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use penfold_core::subsystem::Css;

use super::contract::services;
use crate::abi;

services! {
    fn state(call, css: u32) -> *mut c_void {
        call.frame().map_or(ptr::null_mut(), |frame| frame.state(css))
    }

    fn parent(call, css: u32) -> u32 {
        call.with_css(css, abi::NO_CSS, |services, css| services.parent_of(css).map_or(abi::NO_CSS, Css::number))
    }

    fn children(call, css: u32, list: out [u32; capacity]) -> usize {
        let children = call.with_css(css, Vec::new(), |services, css| services.children_of(css));
        list.fill(&children.into_iter().map(Css::number).collect::<Vec<_>>())
    }

    fn tasks(call, css: u32, list: out [i32; capacity]) -> usize {
        let tasks = call.with_css(css, Vec::new(), |services, css| services.tasks_of(css));
        list.fill(&tasks.into_iter().map(|task| task.0).collect::<Vec<_>>())
    }

    fn has_tasks(call, css: u32) -> c_int {
        call.with_css(css, 0, |services, css| services.has_tasks(css).into())
    }

    fn path(call, css: u32, text: out [c_char; capacity]) -> usize {
        let path = call.with_css(css, Vec::new(), |services, css| services.path_of(css));
        text.fill(&path.into_iter().map(|byte| byte as c_char).collect::<Vec<_>>())
    }

    fn hierarchy_flags(call, css: u32) -> u32 {
        call.with_css(css, 0, |services, css| services.hierarchy_flags(css).bits())
    }
}
