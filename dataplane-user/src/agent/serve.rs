//! Serving: the local API, the metrics, the regular sample, until a signal says to stop.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Options;
use super::error::AgentError;
use super::meter::Meter;
use super::start::Started;
use crate::control::server::{self, Api};
use crate::messages::say;
use crate::telemetry::windows::SAMPLE_EVERY;
use crate::telemetry::{self, Telemetry};

/// The event loop, with the signals that end it.
#[derive(Debug)]
pub struct Runtime {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Runtime {
    /// Takes SIGTERM and SIGINT over from now on.
    ///
    /// # Errors
    /// The process has no room for an event loop.
    pub fn new() -> Result<Self, AgentError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed("make an event loop"))?;
        let entered = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed("handle SIGTERM"))?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed("handle SIGINT"))?;
        drop(entered);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Serves until SIGTERM or SIGINT, then stops steering.
    ///
    /// # Errors
    /// The servers cannot be set up; nothing is attached any more.
    pub fn serve(self, started: Started, options: &Options) -> Result<(), AgentError> {
        let Self { runtime, mut terminate, mut interrupt } = self;
        let name = runtime.block_on(async {
            let mut tasks = spawn(&started, options)?;
            say("ready");
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tasks.abort_all();
            Ok::<_, AgentError>(name)
        })?;
        let interfaces = started.node.interfaces.len();
        drop(started);
        tracing::info!(signal = name, interfaces, "detached");
        // A reading on its way is not waited for: it would find the program detached.
        runtime.shutdown_background();
        Ok(())
    }
}

fn spawn(started: &Started, options: &Options) -> Result<JoinSet<()>, AgentError> {
    let meter: Arc<dyn Meter> = started.attached.0.clone();
    let telemetry = Arc::new(Telemetry::new(Arc::clone(&meter), Arc::clone(&started.node), options.top_keys));
    let api = Api { node: Arc::clone(&started.node), meter, telemetry: Arc::clone(&telemetry) };

    let control = started.socket.listener().map_err(failed("serve the local API"))?;
    let control = UnixListener::from_std(control).map_err(failed("serve the local API"))?;
    let metrics = started.metrics.try_clone().map_err(failed("serve metrics"))?;
    let metrics = TcpListener::from_std(metrics).map_err(failed("serve metrics"))?;

    let mut tasks = JoinSet::new();
    tasks.spawn(serve("control", control, server::router(api)));
    tasks.spawn(serve("metrics", metrics, telemetry::server::router(Arc::clone(&telemetry))));
    tasks.spawn(sample(telemetry));
    Ok(tasks)
}

/// A server that ends is reported; steering goes on, for packets do not need it.
async fn serve<L>(what: &'static str, listener: L, router: Router)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(server = what, %error, "a server ended");
    }
}

async fn sample(telemetry: Arc<Telemetry>) {
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    // A late sample is not made up for: samples that follow at once would make windows of nothing.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let telemetry = Arc::clone(&telemetry);
        match tokio::task::spawn_blocking(move || telemetry.sample()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the counters cannot be read"),
            Err(error) => tracing::error!(%error, "a sample failed"),
        }
    }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> AgentError {
    move |cause| AgentError::Process { operation, cause }
}
