//! What is logged: by tracing, on stderr.

use clap::{ArgAction, Args};
use tracing_subscriber::EnvFilter;

/// The environment variable that holds the filter, in the syntax of tracing's `EnvFilter`.
const VARIABLE: &str = "KEYSTEER_LOG";

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Log more; twice: everything
    ///
    /// Logs go to stderr. KEYSTEER_LOG filters them more finely, for instance
    /// `KEYSTEER_LOG=warn,audit=info`, and comes before this option.
    #[arg(short, long, action = ArgAction::Count, global = true, display_order = 900, verbatim_doc_comment)]
    verbose: u8,
}

impl LogArgs {
    /// Begins to log. A command that `serves` logs what it does, any other only what is wrong.
    pub(super) fn install(&self, serves: bool) {
        let level = match (self.verbose, serves) {
            (0, false) => "warn",
            (0, true) => "info",
            (1, false) => "info",
            (1, true) => "debug,hyper=info",
            _ => "trace",
        };
        let filter = match std::env::var(VARIABLE) {
            Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
                eprintln!("warning: {VARIABLE} is ignored: {error}");
                EnvFilter::new(level)
            }),
            Err(_) => EnvFilter::new(level),
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
        // A second installation, as by tests, keeps the first.
        let _ = subscriber.try_init();
    }
}
