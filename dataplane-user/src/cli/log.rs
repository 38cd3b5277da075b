//! What is logged: by tracing, on stderr.

use clap::{ArgAction, Args, ValueEnum};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::messages;

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

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines to read
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl LogArgs {
    /// Begins to log. A command that `serves` logs what it does, any other only what is wrong.
    pub(super) fn install(&self, serves: bool, format: LogFormat) {
        let level = match (self.verbose, serves) {
            (0, false) => "warn",
            (0, true) => "info",
            (1, false) => "info",
            (1, true) => "debug,hyper=info",
            _ => "trace",
        };
        let mut ignored = None;
        let filter = match std::env::var(VARIABLE) {
            Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
                ignored = Some(error);
                EnvFilter::new(level)
            }),
            Err(_) => EnvFilter::new(level),
        };
        // A second installation, as by tests, keeps the first.
        match format {
            LogFormat::Text => {
                let subscriber = tracing_subscriber::fmt()
                    .with_env_filter(filter)
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
                let _ = subscriber.try_init();
            }
            LogFormat::Json => {
                if json(filter, std::io::stderr).try_init().is_ok() {
                    messages::be_structured();
                }
            }
        }
        if let Some(error) = ignored {
            messages::warn(&format!("{VARIABLE} is ignored: {error}"));
        }
    }
}

/// One JSON object a line: `timestamp`, `level`, `target`, `message`, and the event's own fields beside
/// them. Messages pass whatever the filter.
fn json<W>(mut filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    if let Ok(messages) = format!("{}=info", messages::TARGET).parse() {
        filter = filter.add_directive(messages);
    }
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged in `work` under `filter`, one object a line.
    fn logged(filter: &str, work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        tracing::subscriber::with_default(json(EnvFilter::new(filter), move || writer.clone()), work);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_event_is_one_object_with_its_fields_beside_the_message() {
        let events = logged("info", || {
            let key = "a \"b\"\n\u{1b}[31m\u{1f980}";
            tracing::info!(target: "audit", event = "key_registered", key, key_id = 7_u32, "a key came");
            tracing::debug!("not asked for");
        });
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event["key"], "a \"b\"\n\u{1b}[31m\u{1f980}");
        assert_eq!((&event["key_id"], &event["event"]), (&7.into(), &"key_registered".into()));
        assert_eq!((&event["level"], &event["target"]), (&"INFO".into(), &"audit".into()));
        assert_eq!(event["message"], "a key came");
        let time = event["timestamp"].as_str().unwrap();
        assert!(time.len() >= 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    }

    #[test]
    fn no_filter_takes_messages_out() {
        for filter in ["off", "error", "warn,audit=info", "keysteer=debug"] {
            let events = logged(filter, || {
                tracing::info!(target: messages::TARGET, "ready");
                tracing::info!(target: "other", "something else");
            });
            assert_eq!(events.len(), 1, "{filter}: {events:?}");
            assert_eq!(events[0]["message"], "ready");
        }
    }
}
