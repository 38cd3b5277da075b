//! Becoming root.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::geteuid;

use super::DemoError;

/// Returns when this process is root; else starts the same command again through sudo, in its place.
///
/// # Errors
/// There is no sudo to ask.
pub(super) fn become_root() -> Result<(), DemoError> {
    if geteuid().is_root() {
        return Ok(());
    }
    let program = env::current_exe().map_err(DemoError::at("find out which program this is"))?;
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    eprintln!("The demo needs root for its network namespaces and its program in the kernel: asking sudo.");
    // Returns only when sudo cannot be started; whatever the reason, root is what is missing.
    let cause = Command::new("sudo").arg("--").arg(&program).args(&arguments).exec();
    let mut command = program.display().to_string();
    for argument in &arguments {
        command.push(' ');
        command.push_str(&argument.to_string_lossy());
    }
    Err(DemoError::NotRoot { command, cause })
}
