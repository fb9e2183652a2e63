//! Modules in C, compiled for one test.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::temp_dir::TempFile;

/// Compiles a source below `crates/module/tests` to a module in `file`.
///
/// # Errors
/// That there is no C compiler.
///
/// # Panics
/// With the compiler's messages, when it does not compile the source.
#[track_caller]
pub fn compile_module(source: &str, file: &Path, flags: &[&str]) -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../module");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-pthread", "-Wall", "-Wextra"]).args(flags);
    compiler.arg("-I").arg(directory.join("include")).arg("-o").arg(file);
    let output = compiler.arg(directory.join("tests").join(source)).output()?;
    assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Compiles `crates/module/tests/c/NAME.c` with macros: `("NAME", "\"other\"")`, or an empty value.
#[track_caller]
pub fn c_module(name: &str, macros: &[(&str, &str)]) -> TempFile {
    let macros: Vec<String> = macros.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
    let flags = ["-std=gnu11", "-O1", "-fvisibility=hidden"].into_iter();
    let flags: Vec<&str> = flags.chain(macros.iter().map(String::as_str)).collect();
    let file = TempFile::unmade(".so");
    compile_module(&format!("c/{name}.c"), file.path(), &flags).expect("cc, a C compiler, is needed");
    file
}
