//! `penfold`: groups Linux processes into control groups in user space, with or without root.

use std::process::ExitCode;

fn main() -> ExitCode {
    penfold::main()
}
