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
use super::health::Keeper;
use super::meter::Source;
use super::start::Started;
use super::steward::Steward;
use super::watch::{self, Watch};
use crate::control::changes;
use crate::control::peer::Peer;
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
    hang_up: Signal,
}

impl Runtime {
    /// Takes SIGTERM, SIGINT and SIGHUP over from now on.
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
        let hang_up = signal(SignalKind::hangup()).map_err(failed("handle SIGHUP"))?;
        drop(entered);
        Ok(Self { runtime, terminate, interrupt, hang_up })
    }

    /// Serves until SIGTERM or SIGINT; then steering ends too, if that was asked for. SIGHUP has the policy file read.
    ///
    /// # Errors
    /// The servers cannot be set up, or steering cannot be ended.
    pub fn serve(self, started: Started, options: &Options) -> Result<(), AgentError> {
        let Self { runtime, mut terminate, mut interrupt, mut hang_up } = self;
        let name = runtime.block_on(async {
            let waits = started.trouble.is_some() && started.steward.is_rolling_out();
            let watch = Arc::new(Watch::new(&options.policy, started.trouble.clone(), waits));
            started.steward.file_is(started.trouble.is_none());
            let mut tasks = spawn(&started, &watch, options)?;
            say("ready");
            let name = loop {
                tokio::select! {
                    _ = terminate.recv() => break "SIGTERM",
                    _ = interrupt.recv() => break "SIGINT",
                    _ = hang_up.recv() => {
                        let (watch, steward) = (Arc::clone(&watch), Arc::clone(&started.steward));
                        tokio::task::spawn_blocking(move || watch.take_up(&steward, "reload"));
                    }
                }
            };
            tasks.abort_all();
            Ok::<_, AgentError>(name)
        })?;
        let interfaces = started.steward.node().interfaces.len();
        if options.detach_on_exit {
            started.steward.detach().map_err(AgentError::Load)?;
            tracing::info!(signal = name, interfaces, "detached");
        } else {
            tracing::info!(signal = name, interfaces, "the agent ends, steering goes on");
        }
        drop(started);
        // A reading on its way is not waited for: it would find the program detached.
        runtime.shutdown_background();
        Ok(())
    }
}

fn spawn(started: &Started, watch: &Arc<Watch>, options: &Options) -> Result<JoinSet<()>, AgentError> {
    let steward = &started.steward;
    let telemetry = Arc::new(Telemetry::new(Arc::clone(steward) as Arc<dyn Source>, options.top_keys));
    let api = Api {
        source: Arc::clone(steward) as Arc<dyn Source>,
        telemetry: Arc::clone(&telemetry),
        watch: Some(Arc::clone(watch)),
    };
    let changes = changes::router(Arc::clone(steward));

    let control = started.socket.listener().map_err(failed("serve the local API"))?;
    let control = UnixListener::from_std(control).map_err(failed("serve the local API"))?;
    let metrics = started.metrics.try_clone().map_err(failed("serve metrics"))?;
    let metrics = TcpListener::from_std(metrics).map_err(failed("serve metrics"))?;

    let mut tasks = JoinSet::new();
    tasks.spawn(serve_control(control, server::router(api).merge(changes)));
    tasks.spawn(serve("metrics", metrics, telemetry::server::router(Arc::clone(&telemetry))));
    tasks.spawn(sample(telemetry, Arc::clone(steward)));
    tasks.spawn(look(Arc::clone(watch), Arc::clone(steward), Arc::default()));
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

/// The control socket, whose peers the kernel names.
async fn serve_control(listener: UnixListener, router: Router) {
    let service = router.into_make_service_with_connect_info::<Peer>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!(server = "control", %error, "a server ended");
    }
}

/// How often words, interfaces and the policy file are looked at, and whether shards are asked as they should be.
async fn look(watch: Arc<Watch>, steward: Arc<Steward>, keeper: Arc<Keeper>) {
    let mut tick = tokio::time::interval(watch::EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (watch, steward, keeper) = (Arc::clone(&watch), Arc::clone(&steward), Arc::clone(&keeper));
        let looked = tokio::task::spawn_blocking(move || {
            keeper.look(&steward);
            watch.look(&steward);
            steward.look();
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "a look at the node failed");
        }
    }
}

async fn sample(telemetry: Arc<Telemetry>, steward: Arc<Steward>) {
    let mut tick = tokio::time::interval(SAMPLE_EVERY);
    // A late sample is not made up for: samples that follow at once would make windows of nothing.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (telemetry, steward) = (Arc::clone(&telemetry), Arc::clone(&steward));
        match tokio::task::spawn_blocking(move || telemetry.sample(|snapshot| steward.sampled(snapshot)))
            .await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the counters cannot be read"),
            Err(error) => tracing::error!(%error, "a sample failed"),
        }
    }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> AgentError {
    move |cause| AgentError::Process { operation, cause }
}
