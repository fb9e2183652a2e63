//! The unsafe part of all services: the arguments of C become types of Rust here. The services themselves are safe
//! code.
//!
//! # The contract
//! A module that calls a service guarantees the following. `penfold.h` says so to authors, and [`services!`] relies
//! on it:
//! * `ctx` is NULL, or a context that penfold has given to this module while the module is loaded. The context need
//!   not be of a callback under way, and the thread may be any: then the service finds no [`CallFrame`] and refuses.
//! * A list has the capacity, a text the length and a mask the number of words that are given, or the pointer is NULL.
//! * A pointer to a result is NULL or points to memory for the result. A key is NULL or ends with a NUL.
//!
//! A bad pointer that looks like a good one is trusted, as everywhere in C.

use std::ffi::{CStr, c_char, c_int};
use std::slice;

use penfold_core::{
    Errno, Error, Result,
    subsystem::{Css, Services},
};

use crate::abi::RawContext;
use crate::answer::code;
use crate::loader::call_frame::{CallFrame, CallSlot};

/// Defines services: functions of C, whose body gets the arguments as types of Rust.
///
/// | argument | in C | in the body |
/// |---|---|---|
/// | `list: out [T; capacity]` | `T *list, size_t capacity` | [`ListBuffer<T>`] |
/// | `items: in [T; count]` | `const T *items, size_t count` | `Option<&[T]>` |
/// | `text: text[length]` | `const char *text, size_t length` | `Option<&[u8]>` |
/// | `place: out T` | `T *place` | `Option<&mut T>` |
/// | `key: string` | `const char *key` | `Option<&CStr>` |
/// | `value: T` | `T value` | `T` |
macro_rules! services {
    () => {};
    (fn $name:ident($call:ident $(, $($arguments:tt)+)?) $(-> $answer:ty)? $body:block $($rest:tt)*) => {
        services! { @signature $name $call [$($answer)?] $body [] [] $($($arguments)+)? }
        services! { $($rest)* }
    };
    (@signature $name:ident $call:ident $answer:tt $body:block [$($c:tt)*] [$($typed:tt)*]
        $list:ident: out [$item:ty; $capacity:ident] $(, $($rest:tt)+)?) => {
        services! { @signature $name $call $answer $body
            [$($c)* $list: *mut $item, $capacity: usize,]
            [$($typed)* let $list = $crate::loader::host_services::contract::ListBuffer::new($list, $capacity);]
            $($($rest)+)? }
    };
    (@signature $name:ident $call:ident $answer:tt $body:block [$($c:tt)*] [$($typed:tt)*]
        $items:ident: in [$item:ty; $count:ident] $(, $($rest:tt)+)?) => {
        services! { @signature $name $call $answer $body
            [$($c)* $items: *const $item, $count: usize,]
            [$($typed)* let $items = $crate::loader::host_services::contract::slice_of($items, $count);]
            $($($rest)+)? }
    };
    (@signature $name:ident $call:ident $answer:tt $body:block [$($c:tt)*] [$($typed:tt)*]
        $text:ident: text[$length:ident] $(, $($rest:tt)+)?) => {
        services! { @signature $name $call $answer $body
            [$($c)* $text: *const ::std::ffi::c_char, $length: usize,]
            [$($typed)* let $text =
                $crate::loader::host_services::contract::slice_of($text.cast::<u8>(), $length);]
            $($($rest)+)? }
    };
    (@signature $name:ident $call:ident $answer:tt $body:block [$($c:tt)*] [$($typed:tt)*]
        $place:ident: out $result:ty $(, $($rest:tt)+)?) => {
        services! { @signature $name $call $answer $body
            [$($c)* $place: *mut $result,] [$($typed)* let $place = $place.as_mut();] $($($rest)+)? }
    };
    (@signature $name:ident $call:ident $answer:tt $body:block [$($c:tt)*] [$($typed:tt)*]
        $key:ident: string $(, $($rest:tt)+)?) => {
        services! { @signature $name $call $answer $body
            [$($c)* $key: *const ::std::ffi::c_char,]
            [$($typed)* let $key = $crate::loader::host_services::contract::string_at($key);]
            $($($rest)+)? }
    };
    (@signature $name:ident $call:ident $answer:tt $body:block [$($c:tt)*] [$($typed:tt)*]
        $value:ident: $type:ty $(, $($rest:tt)+)?) => {
        services! { @signature $name $call $answer $body [$($c)* $value: $type,] [$($typed)*] $($($rest)+)? }
    };
    (@signature $name:ident $call:ident [$($answer:ty)?] $body:block [$($c:tt)*] [$($typed:tt)*]) => {
        services! { @function $name $call [$($answer)?] $body [$($c)*] [$($typed)*] }
    };
    (@function $name:ident $call:ident [$($answer:ty)?] $body:block [$($c:ident: $type:ty,)*] [$($typed:tt)*]) => {
        /// # Safety
        /// The contract of the host services.
        pub(in crate::loader) unsafe extern "C" fn $name(
            ctx: *mut $crate::abi::RawContext $(, $c: $type)*
        ) $(-> $answer)? {
            services! { @typed [$($typed)*] $call ctx $body }
        }
    };
    (@typed [$(let $name:ident = $made:expr;)*] $call:ident $ctx:ident $body:block) => {{
        // SAFETY: the caller vouches for all of the contract.
        let ($call, $($name,)*) = unsafe {
            ($crate::loader::host_services::contract::ServiceCall::of($ctx), $($made,)*)
        };
        #[allow(unused_mut)]
        let mut $call = $call;
        $body
    }};
}
pub(super) use services;

/// The memory of a module into which a service writes a list.
pub(in crate::loader) struct ListBuffer<T> {
    list: *mut T,
    capacity: usize,
}

impl<T: Copy> ListBuffer<T> {
    /// # Safety
    /// `list` is NULL or has memory for `capacity` items until the service returns.
    pub(in crate::loader) unsafe fn new(list: *mut T, capacity: usize) -> ListBuffer<T> {
        ListBuffer { list, capacity }
    }

    /// Writes as many of the items as the memory holds, and returns the length of the whole list.
    pub(super) fn fill(self, items: &[T]) -> usize {
        if !self.list.is_null() {
            // SAFETY: the caller of `new` has promised the memory.
            unsafe { items.as_ptr().copy_to(self.list, items.len().min(self.capacity)) };
        }
        items.len()
    }
}

/// # Safety
/// `items` is NULL or points to `count` items until the service returns.
pub(in crate::loader) unsafe fn slice_of<'a, T>(items: *const T, count: usize) -> Option<&'a [T]> {
    // SAFETY: the caller vouches for it.
    (!items.is_null()).then(|| unsafe { slice::from_raw_parts(items, count) })
}

/// # Safety
/// `string` is NULL, or ends with a NUL and stays until the service returns.
pub(in crate::loader) unsafe fn string_at<'a>(string: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller vouches for it.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) })
}

/// One call of a service, with the frame of the callback that makes the call.
pub(in crate::loader) struct ServiceCall<'a>(Option<&'a mut CallFrame<'a>>);

impl<'a> ServiceCall<'a> {
    /// # Safety
    /// `ctx` is as the contract says. The result does not outlive the service.
    pub(in crate::loader) unsafe fn of(ctx: *mut RawContext) -> ServiceCall<'a> {
        if ctx.is_null() {
            return ServiceCall(None);
        }
        // SAFETY: `engine` points to the module's slot, which lives as long as the module. `engine` was written
        // before any code of the module ran. Nothing else borrows the frame while the callback runs.
        let frame = unsafe {
            let slot = (&raw const (*ctx).engine).read().cast::<CallSlot>().as_ref();
            slot.and_then(|slot| slot.frame())
        };
        ServiceCall(frame)
    }

    /// The frame of the callback under way; `None` outside of a callback.
    pub(super) fn frame(&mut self) -> Option<&mut CallFrame<'a>> {
        self.0.as_deref_mut()
    }

    /// Runs `request` with the engine's services; returns `otherwise` outside of a callback.
    pub(super) fn with_services<R>(
        &mut self,
        otherwise: R,
        request: impl FnOnce(&mut dyn Services) -> R,
    ) -> R {
        self.frame().map_or(otherwise, |frame| request(frame.services))
    }

    /// Runs `request` about a css of the module; returns `otherwise` for another css, and outside of a callback.
    pub(super) fn with_css<R>(
        &mut self,
        css: u32,
        otherwise: R,
        request: impl FnOnce(&mut dyn Services, Css) -> R,
    ) -> R {
        let css = Css::from_number(css);
        match self.frame() {
            Some(frame) if frame.services.is_alive(css) => request(frame.services, css),
            _ => otherwise,
        }
    }

    /// Runs a request that can fail, and keeps its error: a callback that returns the same errno then fails with that
    /// error.
    pub(super) fn attempt(&mut self, request: impl FnOnce(&mut dyn Services) -> Result<()>) -> c_int {
        let Some(frame) = self.frame() else { return code(Errno::EFAULT) };
        let Err(error) = request(frame.services) else { return 0 };
        let errno = error.errno();
        frame.output().error = Some(error);
        code(errno)
    }

    /// Runs a request that can fail, about a css and a rule of the module; `-EINVAL` for others.
    pub(super) fn attempt_rule(
        &mut self,
        css: u32,
        rule: u32,
        request: impl FnOnce(&mut dyn Services, Css, usize) -> Result<()>,
    ) -> c_int {
        let (css, rule) = (Css::from_number(css), rule as usize);
        self.attempt(|services| {
            if !services.is_alive(css) || rule >= services.rule_count() {
                return Err(Error::refused(Errno::EINVAL, "the module asked for a counter that it has not"));
            }
            request(services, css, rule)
        })
    }
}

pub(super) fn plain(answer: Result<(), Errno>) -> c_int {
    answer.map_or_else(code, |()| 0)
}
