//! The program under test.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nix::unistd::geteuid;

/// Fails without root: a test that is skipped proves nothing.
///
/// # Panics
/// Without root.
pub fn demand_root() {
    assert!(
        geteuid().is_root(),
        "the kernel tests need root: run `sudo -E env PATH=\"$PATH\" cargo xtask test`, or `cargo xtask test \
         --unprivileged` for those that need none"
    );
}

/// Where the program is: beside the test's own executable (or its directory, if that is `deps`), built by the same
/// profile.
///
/// # Panics
/// It is not there.
pub fn keysteer() -> PathBuf {
    let test = std::env::current_exe().expect("the kernel says which program this is");
    let beside = test.parent().expect("a program is in a directory");
    let profile =
        if beside.ends_with("deps") { beside.parent().expect("deps is in a profile") } else { beside };
    let program = profile.join("keysteer");
    assert!(
        program.is_file(),
        "{} is not there: these tests run the real program, so build it first with `cargo build --package \
         keysteer` (`cargo xtask test` does)",
        program.display()
    );
    program
}

/// The program with these arguments, which reads nothing.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(keysteer());
    command.args(arguments).stdin(Stdio::null()).env_remove("KEYSTEER_LOG");
    command
}

/// What a command that ended said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub out: String,
    /// Its messages.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("data is UTF-8"),
            err: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }
}

/// Runs a command to its end.
///
/// # Panics
/// It cannot be started.
pub fn run(command: &mut Command) -> Said {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
}

impl Said {
    /// Its data; it succeeded, whatever it said beside.
    ///
    /// # Panics
    /// It failed.
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The data of a command that succeeded and had nothing else to say.
    ///
    /// # Panics
    /// It failed or complained.
    pub fn data(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// Checks that this is a failure told well: exit code 1, no data, and one line `error: ...`, beside what was logged, that
    /// has all of `phrases`, a cause and what to do next among them.
    ///
    /// # Panics
    /// It is not.
    pub fn refuses(&self, phrases: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        // What an agent logs has a time before it.
        let is_logged = |line: &&str| line.starts_with("20") && line.as_bytes().get(10) == Some(&b'T');
        let lines: Vec<_> = self.err.lines().filter(|line| !is_logged(line)).collect();
        assert!(matches!(lines[..], [line] if line.starts_with("error: ")), "not one error line: {self:?}");
        assert!(lines[0].len() < 600, "too long: {self:?}");
        for phrase in phrases {
            assert!(self.err.contains(phrase), "`{phrase}` is not in: {}", self.err);
        }
    }
}
