//! How an error is said: its causes on one line, each thing once.

/// A command line that clap takes and that cannot be meant: exit code 2, as for any wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// The chain of causes, outermost first. Many of our errors say their cause themselves, so that they
/// read well in logs too: a cause that was said is not repeated.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    safe(&text)
}

/// Text that may quote a file or the command line, for a terminal: what would control it is shown
/// instead. Lines stay lines.
pub(super) fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn what_would_control_a_terminal_is_shown() {
        assert_eq!(
            chain(&anyhow::anyhow!("no key `\x1b[31m\u{e9}`\nnext")),
            "no key `\\u{1b}[31m\u{e9}`\nnext"
        );
    }

    #[test]
    fn causes_are_said_once() {
        let cause = std::io::Error::other("disk full");
        let error = Err::<(), _>(cause).context("cannot write x: disk full").context("cannot start");
        assert_eq!(chain(&error.unwrap_err()), "cannot start: cannot write x: disk full");
    }
}
