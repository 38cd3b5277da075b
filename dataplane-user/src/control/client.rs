//! The command line's end of the local API. Synchronous: a command asks once and ends.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::types::{Applied, ApplyRequest, Problem, Step};

/// An agent that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(15);
/// The same of what may have to compile policies of a million keys.
const LONG_PATIENCE: Duration = Duration::from_secs(180);

/// No answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no socket.
    #[error(
        "no agent is running (no socket at {}): start one with `keysteer agent --policy FILE`, or name its socket with --socket",
        path.display()
    )]
    NoAgent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Nobody listens on the socket.
    #[error(
        "no agent listens on {}: the one that made it died; start it again with `keysteer agent --policy FILE`",
        path.display()
    )]
    Stale {
        /// The socket.
        path: PathBuf,
    },
    /// The socket belongs to somebody else.
    #[error("may not connect to {}: run this as root, or as the user that runs the agent", path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// The connection failed in another way.
    #[error("cannot connect to {}: {cause}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// The agent did not answer in time.
    #[error(
        "the agent on {} did not answer within {} s: look at its log, and restart it if it hangs; packets go on meanwhile",
        path.display(), patience.as_secs()
    )]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The exchange broke off.
    #[error("the agent broke off the exchange: {cause}; look at its log")]
    Broken {
        /// Why.
        #[source]
        cause: hyper::Error,
    },
    /// The agent ended in the middle.
    #[error(
        "the agent ended before it was done: start it again, which finishes or undoes the change; `keysteer generations` then shows what is in force"
    )]
    Ended,
    /// The agent answered with a problem.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what this version understands.
    #[error(
        "the agent's answer to {request} makes no sense to this version: {cause}; use the agent's own version"
    )]
    Nonsense {
        /// What was asked for.
        request: String,
        /// What is wrong with the answer.
        #[source]
        cause: serde_json::Error,
    },
    /// The exchange cannot be set up at all.
    #[error("cannot ask for {request}: {cause}")]
    Unaskable {
        /// What was asked for.
        request: String,
        /// Why not.
        cause: String,
    },
}

/// Asks an agent.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the agent whose socket is at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// `GET path`. Must not be called from within an asynchronous runtime: it has its own.
    ///
    /// # Errors
    /// Nobody answers, or the answer is a problem or not a `T`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new())
    }

    /// `POST path`, with a question. Must not be called from within an asynchronous runtime: it has its own.
    ///
    /// # Errors
    /// Nobody answers, or the answer is a problem or not a `T`.
    pub fn post<T: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(question).map_err(|error| self.unaskable(path, &error))?;
        self.ask(Method::POST, path, body.into())
    }

    /// `GET path`, whose answer is bytes. As [`Client::get`].
    ///
    /// # Errors
    /// Nobody answers, or the answer is a problem.
    pub fn get_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        self.ask_bytes(Method::GET, path, Bytes::new())
    }

    /// `POST path`, with bytes for a question. As [`Client::post`].
    ///
    /// # Errors
    /// As [`Client::post`].
    pub fn post_bytes<T: DeserializeOwned>(&self, path: &str, question: Vec<u8>) -> Result<T, ClientError> {
        self.ask(Method::POST, path, question.into())
    }

    /// `POST /v1/apply`, telling `progress` of each stage. Interrupted, the change is called off if it can be.
    ///
    /// # Errors
    /// Nobody answers, or the policy is not in force.
    pub fn apply(&self, request: &ApplyRequest, progress: impl Fn(&str)) -> Result<Applied, ClientError> {
        self.change("/v1/apply", request, progress)
    }

    /// `POST path` for a change, as [`Client::apply`].
    ///
    /// # Errors
    /// Nobody answers, or the change was not made.
    pub fn change(
        &self,
        path: &str,
        request: &impl Serialize,
        progress: impl Fn(&str),
    ) -> Result<Applied, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.unaskable(path, &error))?;
        let runtime = self.runtime(path)?;
        runtime.block_on(async {
            let broken = |cause| ClientError::Broken { cause };
            let response = self.send(Method::POST, path, body.into()).await?;
            let (status, mut body) = (response.status(), response.into_body());
            let mut text = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
                text.extend_from_slice(&data);
                while status.is_success()
                    && let Some(end) = text.iter().position(|byte| *byte == b'\n')
                {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    let nonsense = |cause| ClientError::Nonsense { request: path.to_owned(), cause };
                    match serde_json::from_slice(&line).map_err(nonsense)? {
                        Step::Stage(stage) => progress(&stage),
                        Step::Done(applied) => return Ok(applied),
                        Step::Failed(error) => return Err(ClientError::Refused(error)),
                    }
                }
            }
            match serde_json::from_slice::<Problem>(&text) {
                Ok(problem) => Err(ClientError::Refused(problem.error)),
                Err(_) => Err(ClientError::Ended),
            }
        })
    }

    fn runtime(&self, path: &str) -> Result<tokio::runtime::Runtime, ClientError> {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
        built.map_err(|error| self.unaskable(path, &error))
    }

    fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let body = self.ask_bytes(method, path, body)?;
        let nonsense = |cause| ClientError::Nonsense { request: path.to_owned(), cause };
        serde_json::from_slice(&body).map_err(nonsense)
    }

    fn ask_bytes(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let patience = if method == Method::POST { LONG_PATIENCE } else { PATIENCE };
        let (status, body) = self
            .runtime(path)?
            .block_on(async { tokio::time::timeout(patience, self.exchange(method, path, body)).await })
            .map_err(|_| ClientError::Silent { path: self.path.clone(), patience })??;
        let nonsense = |cause| ClientError::Nonsense { request: path.to_owned(), cause };
        if status.is_success() {
            return Ok(body);
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(nonsense)?;
        Err(ClientError::Refused(problem.error))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|cause| ClientError::Broken { cause })?;
        Ok((status, body.to_bytes()))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|cause| self.unreached(cause))?;
        let broken = |cause| ClientError::Broken { cause };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the runtime, or with an error that the sender reports as well.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .body(Full::new(body))
            .map_err(|error| self.unaskable(path, &error))?;
        sender.send_request(request).await.map_err(broken)
    }

    fn unreached(&self, cause: io::Error) -> ClientError {
        let path = self.path.clone();
        match cause.kind() {
            io::ErrorKind::NotFound => ClientError::NoAgent { path },
            io::ErrorKind::ConnectionRefused => ClientError::Stale { path },
            io::ErrorKind::PermissionDenied => ClientError::Forbidden { path },
            _ => ClientError::Connect { path, cause },
        }
    }

    fn unaskable(&self, path: &str, error: &dyn std::error::Error) -> ClientError {
        ClientError::Unaskable { request: path.to_owned(), cause: error.to_string() }
    }
}

/// `text` as one segment of a path: key names may hold anything.
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
