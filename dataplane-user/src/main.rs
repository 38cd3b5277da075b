//! The one binary; what it does is in [`keysteer::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    keysteer::cli::main()
}
