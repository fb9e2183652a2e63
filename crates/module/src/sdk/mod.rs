//! The kit for modules in Rust: [`export!`](crate::export) makes a module of a [`Subsystem`](crate::Subsystem).
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
//! The same type can be built into a program, by `engine.load(&mut host, Numbers)`. The subsystem can't tell the
//! difference.
//!
//! Constants describe a module completely. So [`Subsystem::NAME`](crate::Subsystem::NAME) and the constants after it
//! count, and the methods of the same names do not.
//!
//! Three things are different behind the binary interface. A subsystem need not care about any of them:
//! * A panic in a callback is caught. The callback fails with `EIO`, and the log names the module and the panic.
//! * [`Subsystem::replay_tasks`](crate::Subsystem::replay_tasks) is not called. Instead,
//!   [`Subsystem::fork`](crate::Subsystem::fork) is called for each task that exists.
//! * [`Context::engine_view`](crate::Context::engine_view) is `None`.
//!
//! A description that the interface can't hold does not compile:
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
/// A load of `export!(Type)` makes `Type::default()`. A load of `export!(Type, EXPRESSION)` evaluates the expression.
/// The version and the summary of the module are `version` and `description` in the `Cargo.toml` of the crate. The
/// crate needs `crate-type = ["cdylib"]`. Use the macro once, at the top of the crate.
///
/// # Compile errors
/// * a name that is empty, too long or not made of letters, digits, `_` and `-`;
/// * a control file whose name is empty, too long or illegal, or that two files have;
/// * a rule whose limit is set by no file of the module;
/// * a summary of more than 127 bytes;
/// * `panic = "abort"`: a panic has to be caught before it reaches the program that has loaded the module.
#[macro_export]
macro_rules! export {
    ($type:ty $(, $make:expr)? $(,)?) => {
        /// The description of this module, which penfold reads.
        #[allow(non_upper_case_globals)]
        #[unsafe(no_mangle)]
        pub static penfold_module: $crate::abi::RawModule = $crate::describe!($type $(, $make)?);
    };
}

/// A constant expression of type [`abi::RawModule`](crate::abi::RawModule): the description of a
/// [`Subsystem`](crate::Subsystem) that [`export!`](crate::export) exports.
///
/// For tests: `Controller::from_static` of the feature `loader` loads a `static` of this type without a file.
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
