//! The `rowproof` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rowproof::main()
}
