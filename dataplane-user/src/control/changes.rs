//! The part of the local API that changes the node, and shows what was changed. Only root and the agent's own user may
//! change anything; who it was goes into the audit log.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::peer::Peer;
use super::reveal::Reveal;
use super::server::{answer_with, problem};
use super::types::{
    Applied, ApplyRequest, Problem, Promote, RollbackRequest, ShareRequest, Step, WordRequest,
};
use crate::agent::steward::{Apply, Change, ChangeError, Progress, Steward};
use crate::plan::Request;
use crate::state::Who;
use crate::state::overlay::{KeyWord, ShardWord};

/// The most bytes of a policy with its files: about ten million keys.
const LARGEST: usize = 1 << 30;

type Peered = ConnectInfo<Peer>;
type Answer = (StatusCode, Problem);

/// The routes that change the node.
pub fn router(steward: Arc<Steward>) -> Router {
    Router::new()
        .route("/v1/generations", get(generations))
        .route("/v1/words", get(words))
        .route("/v1/plan", post(plan).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/v1/apply", post(apply).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/v1/shares", post(shares))
        .route("/v1/shares/plan", post(plan_shares))
        .route("/v1/rollback", post(rollback))
        .route("/v1/rollout/promote", post(promote))
        .route("/v1/placement", get(export).post(import).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/v1/keys/{name}/{verb}", post(key))
        .route("/v1/shards/{name}/{verb}", post(shard))
        .with_state(steward)
}

impl ChangeError {
    fn answer(self) -> Answer {
        let status = match self {
            Self::Busy | Self::Conflict(_) | Self::RollingOut(_) => StatusCode::CONFLICT,
            Self::Invalid(_) | Self::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Interrupted | Self::State(_) | Self::Kernel(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Problem { error: self.to_string() })
    }
}

fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Answer> {
    let wrong = |error: String| (StatusCode::BAD_REQUEST, Problem { error });
    let body = body.map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&body)
        .map_err(|error| wrong(format!("the body is not what is asked for here: {error}")))
}

fn operator(peer: &Peer) -> Result<Who, Answer> {
    let error = "only root and the user that the agent runs as may change anything: run this as one of them";
    peer.operator().cloned().ok_or((StatusCode::FORBIDDEN, Problem { error: error.to_owned() }))
}

async fn generations(State(steward): State<Arc<Steward>>) -> Response {
    answer_with(move || Ok(steward.generations().to_vec())).await
}

async fn words(State(steward): State<Arc<Steward>>) -> Response {
    answer_with(move || Ok(steward.standing().to_vec())).await
}

async fn plan(
    State(steward): State<Arc<Steward>>,
    Reveal(reveal): Reveal,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_with(move || {
        let Request { bundle, allow, base } = read(body)?;
        steward.plan(&bundle, &allow, base, reveal).map_err(ChangeError::answer)
    })
    .await
}

/// Streams a line for each stage. A client that goes away before the commit calls the change off.
async fn apply(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = operator(&peer).and_then(|who| Ok((who, read::<ApplyRequest>(body)?)));
    let (who, ApplyRequest { bundle, allow, plan, base, at_once }) = match asked {
        Ok(asked) => asked,
        Err((status, it)) => return problem(status, it.error),
    };
    staged(move |progress, gone| {
        let change = Change::default();
        let action = "apply";
        steward.apply(&Apply { bundle, change, allow, plan, base, at_once, who, action, progress, gone })
    })
}

/// What other shares would change.
async fn plan_shares(State(steward): State<Arc<Steward>>, body: Result<Bytes, BytesRejection>) -> Response {
    answer_with(move || steward.plan_shares(&read(body)?).map_err(ChangeError::answer)).await
}

/// The policy in force with other shares; as `apply`.
async fn shares(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = operator(&peer).and_then(|who| {
        let request: ShareRequest = read(body)?;
        let known = SHARE_ACTIONS.into_iter().find(|known| *known == request.action);
        let action = known.ok_or_else(|| no_verb(&request.action, &SHARE_ACTIONS.join(", ")))?;
        Ok((who, request, action))
    });
    match asked {
        Ok((who, request, action)) => {
            staged(move |progress, gone| steward.set_shares(&request, action, who, progress, gone))
        }
        Err((status, it)) => problem(status, it.error),
    }
}

/// What changes of shares are called.
const SHARE_ACTIONS: [&str; 5] =
    ["shard-drain", "shard-undrain", "shard-weight", "shard-remove", "pool-rebalance"];

/// Answers with a line for each stage of a change.
fn staged(
    change: impl FnOnce(Progress<'_>, &AtomicBool) -> Result<Applied, ChangeError> + Send + 'static,
) -> Response {
    let (lines, receive) = mpsc::unbounded_channel::<Step>();
    tokio::task::spawn_blocking(move || {
        let gone = AtomicBool::new(false);
        let progress = |stage: &str| {
            if lines.send(Step::Stage(stage.to_owned())).is_err() {
                gone.store(true, Ordering::Relaxed);
            }
        };
        let done = change(&progress, &gone);
        // Whoever is not there any more needs no answer: the journal has it.
        let _ = lines.send(match done {
            Ok(applied) => Step::Done(applied),
            Err(error) => Step::Failed(error.to_string()),
        });
    });
    let stream = futures_util::stream::unfold(receive, |mut receive| async {
        let step = receive.recv().await?;
        let mut line = serde_json::to_vec(&step).unwrap_or_default();
        line.push(b'\n');
        Some((Ok::<_, Infallible>(line), receive))
    });
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(stream)).into_response()
}

async fn rollback(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_with(move || {
        let who = operator(&peer)?;
        let RollbackRequest { from } = read(body)?;
        steward.rollback(&who, from).map_err(ChangeError::answer)
    })
    .await
}

/// The next step of a change, or all of them, before its time.
async fn promote(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_with(move || {
        let who = operator(&peer)?;
        let Promote { all } = read(body)?;
        steward.promote(&who, all).map_err(ChangeError::answer)
    })
    .await
}

/// The tables in force, as a file.
async fn export(State(steward): State<Arc<Steward>>) -> Response {
    match tokio::task::spawn_blocking(move || steward.exported()).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Such a file of another node.
async fn import(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_with(move || {
        let who = operator(&peer)?;
        let body = body.map_err(|error| (StatusCode::BAD_REQUEST, Problem { error: error.to_string() }))?;
        steward.import(&body, who).map_err(ChangeError::answer)
    })
    .await
}

async fn key(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    Path((name, verb)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_with(move || {
        let who = operator(&peer)?;
        let asked: WordRequest = read(body)?;
        let word = match verb.as_str() {
            "deny" => Some(KeyWord::Deny),
            "allow" => Some(KeyWord::Allow),
            "clear" => None,
            _ => return Err(no_verb(&verb, "deny, allow or clear")),
        };
        steward.key_word(&name, word, &asked, who).map_err(ChangeError::answer)
    })
    .await
}

async fn shard(
    State(steward): State<Arc<Steward>>,
    ConnectInfo(peer): Peered,
    Path((name, verb)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_with(move || {
        let who = operator(&peer)?;
        let asked: WordRequest = read(body)?;
        let word = match verb.as_str() {
            "disable" => Some(ShardWord::Disabled),
            "enable" => None,
            _ => return Err(no_verb(&verb, "disable or enable")),
        };
        steward.shard_word(&name, word, &asked, who).map_err(ChangeError::answer)
    })
    .await
}

fn no_verb(verb: &str, known: &str) -> Answer {
    (StatusCode::NOT_FOUND, Problem { error: format!("there is no verb {verb} here; use {known}") })
}
