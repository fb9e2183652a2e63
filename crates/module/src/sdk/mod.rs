//! The kit to write modules with in Rust: a [`Subsystem`](crate::Subsystem) becomes a module by [`export!`](crate::export).
//!
//! ```
//! use penfold_module::{Context, ControlFile, Result, Subsystem};
//!
//! /// Keeps one number in every cgroup.
//! #[derive(Default)]
//! pub struct Numbers;
//!
//! impl Subsystem for Numbers {
//!     type State = u64;
//!     const NAME: &'static str = "numbers";
//!     const FILES: &'static [ControlFile<Self>] = &[ControlFile::new("number")
//!         .read_u64(|_, ctx| Ok(*ctx.state()))
//!         .write_u64(|_, ctx, number| {
//!             *ctx.state_mut() = number;
//!             Ok(())
//!         })];
//!
//!     fn create(&mut self, _: &mut Context<'_, Self>) -> Result<u64> {
//!         Ok(0)
//!     }
//!
//!     fn destroy(&mut self, _: &mut Context<'_, Self>) {}
//! }
//!
//! penfold_module::export!(Numbers);
//! # fn main() {}
//! ```
//!
//! The same type can be loaded without a module, by `engine.load(&mut host, Numbers)`: it can't tell the difference.
//! A module is wholly described by constants, so only [`Subsystem::NAME`](crate::Subsystem::NAME) and the constants
//! after it count, not the methods of the same names.
//!
//! Three things are different behind the binary interface, none of which a subsystem has to care about:
//! * A panic in a callback is caught. The callback answers `EIO`, and the failure is reported under the module's name.
//! * [`Subsystem::replay_tasks`](crate::Subsystem::replay_tasks) is not called, but [`Subsystem::fork`](crate::Subsystem::fork)
//!   for each task that exists.
//! * [`Context::engine_view`](crate::Context::engine_view) is `None`.
//!
//! What the interface can't hold does not compile:
//!
//! ```compile_fail
//! use penfold_module::{Context, ControlFile, Result, Subsystem};
//!
//! #[derive(Default)]
//! pub struct Numbers;
//!
//! impl Subsystem for Numbers {
//!     type State = ();
//!     const NAME: &'static str = "a name with spaces";
//!
//!     fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     fn destroy(&mut self, _: &mut Context<'_, Self>) {}
//! }
//!
//! penfold_module::export!(Numbers);
//! # fn main() {}
//! ```

mod callbacks;
mod describe;
mod handlers;
mod make;
mod panics;
mod remote_services;

#[doc(hidden)]
pub use describe::{describe, file_table, rule_table};
#[doc(hidden)]
pub use make::Make;

/// Makes a crate a module: exports the description of a [`Subsystem`](crate::Subsystem) as `penfold_module`.
///
/// `export!(Type)` loads `Type::default()`, `export!(Type, EXPRESSION)` what the expression makes. Version and summary
/// are those of the crate (`version` and `description` in its `Cargo.toml`), which needs
/// `crate-type = ["cdylib"]`. Use it once, at the top of the crate.
///
/// It does not compile for a name that is empty, too long or not made of letters, digits, `_` and `-`, for a control
/// file whose name is empty, too long, illegal or there twice, for a rule whose limit is set by no file of the module,
/// for a summary of more than 127 bytes, or with `panic = "abort"`: a panic has to be caught before it reaches the
/// program that has loaded the module.
#[macro_export]
macro_rules! export {
    ($type:ty $(, $make:expr)? $(,)?) => {
        /// What penfold reads of this module.
        #[allow(non_upper_case_globals)]
        #[unsafe(no_mangle)]
        pub static penfold_module: $crate::abi::RawModule = $crate::describe!($type $(, $make)?);
    };
}

/// The description of a [`Subsystem`](crate::Subsystem) as [`export!`](crate::export) makes it, as a constant expression
/// of type [`abi::RawModule`](crate::abi::RawModule). For tests: a `static` of it can be loaded without a file, by
/// `Controller::from_static` of the feature `loader`.
#[macro_export]
macro_rules! describe {
    ($type:ty) => {
        $crate::describe!($type, <$type as ::core::default::Default>::default())
    };
    ($type:ty, $make:expr) => {{
        #[cfg(panic = "abort")]
        ::core::compile_error!("a module needs panic = \"unwind\": its panics have to be caught");

        struct Maker;
        impl $crate::sdk::Make for Maker {
            type Subsystem = $type;
            fn make() -> $type {
                $make
            }
        }
        static FILES: [$crate::abi::RawFile; <$type as $crate::Subsystem>::FILES.len()] =
            $crate::sdk::file_table::<$type, _>();
        static RULES: [$crate::abi::RawRule; <$type as $crate::Subsystem>::RULES.len()] =
            $crate::sdk::rule_table::<$type, _>();
        $crate::sdk::describe::<Maker>(
            &FILES,
            &RULES,
            ::core::env!("CARGO_PKG_VERSION"),
            ::core::env!("CARGO_PKG_DESCRIPTION"),
        )
    }};
}
