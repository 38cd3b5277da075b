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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::agent::fake::{Fake, Record, image};
    use crate::agent::node::Node;

    /// The answer to one request, over a real socket.
    fn ask(fake: Fake, path: &str) -> String {
        let node = Arc::new(Node::new(image(&["acme"]), "edge.yaml".to_owned(), Vec::new()));
        let telemetry = Arc::new({
            *fake.0.node.lock().unwrap() = node;
            Telemetry::new(Arc::new(fake), 10)
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router(telemetry)).await.unwrap();
            });
        });
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn serves_openmetrics() {
        let answer = ask(Fake::default(), "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(CONTENT_TYPE), "{answer}");
        assert!(answer.contains("keysteer_key_packets_total{key=\"acme\",scope=\"key\"} 0\n"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
        assert!(ask(Fake::default(), "/").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_failed_reading_fails_the_scrape() {
        let fake = Fake(Arc::new(Record { fails: Some("counters"), ..Record::default() }));
        let answer = ask(fake, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("planted"), "{answer}");
    }
}
