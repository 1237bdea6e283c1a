//! The program that the end-to-end tests run: `rowproof` as it is, but built with the tests.
//!
//! `cargo test` builds no other package's binaries. Under `--processes` this program starts itself again
//! as each function.

use std::process::ExitCode;

fn main() -> ExitCode {
    rowproof::main()
}
