//! The agent's end of the local API.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::peer::Peer;
use super::pools::Pools;
use super::reveal::Reveal;
use super::types::{ProbeRequest, Problem};
use super::view;
use crate::agent::meter::{Cause, Source};
use crate::agent::node::Node;
use crate::agent::road::{self, RoadError};
use crate::agent::watch::Watch;
use crate::counters::Snapshot;
use crate::kernel::interfaces::Interfaces;
use crate::telemetry::Telemetry;

/// What the API answers from.
#[derive(Clone)]
pub struct Api {
    /// The counters, and what they are called.
    pub source: Arc<dyn Source>,
    /// Rates.
    pub telemetry: Arc<Telemetry>,
    /// The policy file, where one is followed.
    pub watch: Option<Arc<Watch>>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("node", &self.source.node()).finish_non_exhaustive()
    }
}

/// An answer other than 2xx.
enum Refusal {
    NotFound(Problem),
    Other(StatusCode, Problem),
    Wrong(Problem),
    Unreadable(Cause),
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self::Unreadable(cause)
    }
}

/// The most bytes of a question: more than the longest frame takes in any way of writing it, so that a frame that is too
/// long is read to its end and refused in words. A body that is refused earlier breaks the connection under its sender.
const QUESTION: usize = 8 << 20;

/// The routes of the control socket.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/keys", get(keys))
        .route("/v1/keys/{name}", get(key))
        .route("/v1/claims", get(claims))
        .route("/v1/shards", get(shards))
        .route("/v1/pools", get(pools))
        .route("/v1/probe", post(probe))
        .route("/v1/explain", post(explain).layer(DefaultBodyLimit::max(QUESTION)))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

async fn status(State(api): State<Api>) -> Response {
    answer(move || {
        let snapshot = api.source.counters()?;
        let trouble = api.watch.as_ref().and_then(|watch| watch.trouble());
        Ok(view::status(
            &api.source.node(),
            &api.source.posted(),
            trouble,
            &snapshot,
            api.source.program()?,
            api.source.maps()?,
            api.source.health().as_ref(),
        ))
    })
    .await
}

/// How many keys are encoded at a time.
const PART: usize = 1_000;

/// All keys, from one reading, encoded part by part: there can be a million, whose text is larger than
/// all that the agent keeps.
async fn keys(State(api): State<Api>, Reveal(reveal): Reveal) -> Response {
    let source = Arc::clone(&api.source);
    let node = source.node();
    let read = tokio::task::spawn_blocking(move || source.counters());
    let snapshot = match read.await {
        Ok(Ok(snapshot)) => Arc::new(snapshot),
        Ok(Err(cause)) => return problem(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()),
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let keys = node.names.keys.len();
    let parts = (0..keys.max(1)).step_by(PART).map(move |begin| {
        let (node, snapshot) = (Arc::clone(&node), Arc::clone(&snapshot));
        async move {
            let encode = move || part(&node, &snapshot, begin, reveal);
            tokio::task::spawn_blocking(encode).await.map_err(io::Error::other)?
        }
    });
    let body = Body::from_stream(stream::iter(parts).then(|part| part));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The part of a JSON list of all keys that begins with the key at `begin`.
fn part(node: &Node, snapshot: &Snapshot, begin: usize, reveal: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for (at, key) in (begin..).zip(view::keys(node, snapshot, begin, reveal).take(PART)) {
        text.push(if at == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut text, &key)?;
    }
    if begin + PART >= node.names.keys.len() {
        text.extend(if node.names.keys.is_empty() { &b"[]"[..] } else { &b"]"[..] });
    }
    Ok(text)
}

async fn key(State(api): State<Api>, Path(name): Path<String>, Reveal(reveal): Reveal) -> Response {
    answer(move || {
        view::key(&api.source.node(), &api.source.counters()?, &name, reveal).map_err(Refusal::NotFound)
    })
    .await
}

async fn claims(State(api): State<Api>) -> Response {
    answer(move || Ok(super::claims::claims(&api.source.node(), &api.source.counters()?))).await
}

async fn shards(State(api): State<Api>) -> Response {
    answer(move || {
        let snapshot = api.source.counters()?;
        let (posted, health) = (api.source.posted(), api.source.health());
        let rates = |index| api.telemetry.rates(index);
        Ok(view::shards(&api.source.node(), &posted, &snapshot, health.as_ref(), rates))
    })
    .await
}

async fn pools(State(api): State<Api>) -> Response {
    answer(move || Ok(Pools::of(&api.source.node().placement))).await
}

/// Why one frame would go where: by the tables in the kernel, which are only read. No counter is touched.
async fn explain(
    State(api): State<Api>,
    Reveal(reveal): Reveal,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer(move || {
        let wrong = |error| Refusal::Wrong(Problem { error });
        let body = body.map_err(|error| wrong(error.to_string()))?;
        let question = serde_json::from_slice(&body).map_err(|error| {
            wrong(format!(
                "the body is no question: {error}; send {{\"frame\": \"...\"}}, in hexadecimal digits"
            ))
        })?;
        let interfaces = Interfaces::read().map_err(|error| Refusal::Unreadable(error.into()))?;
        let tables = api.source.tables()?;
        view::explain(&api.source.node(), &tables, &interfaces, &question, reveal).map_err(Refusal::Wrong)
    })
    .await
}

/// Whether a shard answers, over the road that packets take. Nothing is changed.
async fn probe(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer(move || {
        // It is the agent, with its rights, who connects.
        if peer.operator().is_none() {
            let error = "only root and the user that the agent runs as may have the agent connect to somebody: run this as one of them";
            return Err(Refusal::Other(StatusCode::FORBIDDEN, Problem { error: error.to_owned() }));
        }
        let wrong = |error| Refusal::Wrong(Problem { error });
        let body = body.map_err(|error| wrong(error.to_string()))?;
        let ProbeRequest { shard, service } = serde_json::from_slice(&body).map_err(|error| {
            wrong(format!(
                "the body is no question: {error}; send {{\"shard\": \"...\", \"service\": \"203.0.113.10:443\"}}"
            ))
        })?;
        let service = service.parse().map_err(|_| {
            wrong(format!("\"{service}\" is no address and port: expected one such as 203.0.113.10:443"))
        })?;
        let tables = api.source.tables()?;
        road::probe(&api.source.node(), &tables, &shard, service).map_err(|error| match error {
            RoadError::System { .. } => Refusal::Unreadable(error.into()),
            RoadError::Unknown { .. } => Refusal::NotFound(Problem { error: error.to_string() }),
            _ => Refusal::Wrong(Problem { error: error.to_string() }),
        })
    })
    .await
}

async fn unknown(uri: Uri) -> Response {
    problem(
        StatusCode::NOT_FOUND,
        format!(
            "no such path: {uri}; try /v1/status, /v1/keys, /v1/keys/NAME, /v1/claims, /v1/shards, /v1/pools, /v1/placement, /v1/probe, /v1/explain, /v1/generations, /v1/words, /v1/plan, /v1/apply or /v1/rollback"
        ),
    )
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let reads =
        ["/v1/status", "/v1/keys", "/v1/claims", "/v1/shards", "/v1/pools", "/v1/generations", "/v1/words"];
    let read = reads.contains(&uri.path()) || method == Method::POST;
    let right = if read { Method::GET } else { Method::POST };
    problem(StatusCode::METHOD_NOT_ALLOWED, format!("{method} {uri} is not possible; use {right}"))
}

/// The same for the routes of [`super::changes`].
pub(super) async fn answer_with<T: Serialize>(
    make: impl FnOnce() -> Result<T, (StatusCode, Problem)> + Send + 'static,
) -> Response {
    answer(move || make().map_err(|(status, problem)| Refusal::Other(status, problem))).await
}

/// Answers with JSON. Reading counters is system calls and encoding 100,000 keys is work: neither
/// belongs on the event loop.
async fn answer<T: Serialize>(make: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Response {
    let made = tokio::task::spawn_blocking(move || {
        make()
            .and_then(|answer| serde_json::to_vec(&answer).map_err(|error| Refusal::Unreadable(error.into())))
    });
    match made.await {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Ok(Err(Refusal::NotFound(it))) => (StatusCode::NOT_FOUND, Json(it)).into_response(),
        Ok(Err(Refusal::Other(status, it))) => (status, Json(it)).into_response(),
        Ok(Err(Refusal::Wrong(it))) => (StatusCode::BAD_REQUEST, Json(it)).into_response(),
        Ok(Err(Refusal::Unreadable(cause))) => problem(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

pub(super) fn problem(status: StatusCode, error: String) -> Response {
    (status, Json(Problem { error })).into_response()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
