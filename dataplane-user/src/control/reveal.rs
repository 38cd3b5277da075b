//! Whoever may change the node may also see values that the policy hides, if they ask for it: `?reveal=true`.

use axum::extract::{ConnectInfo, FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;

use super::peer::Peer;
use super::server::problem;

/// Whether values are to be shown plainly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reveal(pub(super) bool);

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    reveal: bool,
}

impl<S: Sync> FromRequestParts<S> for Reveal {
    type Rejection = Response;

    /// # Errors
    /// The query makes no sense, or the peer may not see such values.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let Query(Asked { reveal }) = Query::try_from_uri(&parts.uri)
            .map_err(|error| problem(StatusCode::BAD_REQUEST, format!("{error}; try ?reveal=true")))?;
        // Where the kernel does not say who asks, nobody does.
        let operator =
            || parts.extensions.get::<ConnectInfo<Peer>>().is_some_and(|peer| peer.0.operator().is_some());
        if reveal && !operator() {
            let error = "only root and the user that the agent runs as may see values that the policy hides: run this as one of them, or leave out `reveal`";
            return Err(problem(StatusCode::FORBIDDEN, error.to_owned()));
        }
        Ok(Self(reveal))
    }
}
