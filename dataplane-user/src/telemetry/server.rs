//! `GET /metrics` over TCP, on a loopback address unless told otherwise.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Telemetry;

/// Where metrics are served, unless the command line says otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9477";

/// OpenMetrics 1.0 text.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes of the metrics port.
pub fn router(telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here; metrics are at /metrics\n") })
        .with_state(telemetry)
}

/// Reading every counter is system calls and encoding is work: neither belongs on the event loop.
async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> Response {
    match tokio::task::spawn_blocking(move || telemetry.scrape()).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Ok(Err(cause)) => failed(&cause.to_string()),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(cause: &str) -> Response {
    tracing::warn!(cause, "a scrape failed");
    (StatusCode::SERVICE_UNAVAILABLE, format!("the counters cannot be read: {cause}\n")).into_response()
}
