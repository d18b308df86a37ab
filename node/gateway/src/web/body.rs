//! Bodies that a canister hands out piece by piece through a query method (streaming strategy "Callback").
//!
//! A certified body is collected and checked as a whole before the first byte is sent: half a body proves nothing. Where
//! nothing is certified (raw hosts, paths whose canister skips certification) pieces are passed on as the client takes
//! them, one in memory at a time.

use crate::{
    admission::Permit,
    failure::Failure,
    web::{
        Canisters, Shown, Web,
        message::{Answer, AnyValue, Callback, Chunk, decode},
        pieces,
        target::Target,
        verify::Certified,
    },
};
use axum::body::{Body, Bytes};
use futures::stream;
use ic_http_certification::{CERTIFICATE_EXPRESSION_HEADER_NAME, HttpRequest};
use mains_types::CanisterId;
use std::sync::Arc;

/// Pieces of one body: a canister whose tokens never end must not keep a connection for ever.
pub(super) const PIECES_MAX: usize = 1_000;
/// Bytes of a certified body that comes in pieces: all of it is in memory until the last one is checked.
pub(super) const COLLECTED_BYTES_MAX: usize = 32 << 20;

/// Shows an answer whose body goes on behind `callback`.
///
/// # Errors
/// The certified body does not verify or is too large; a piece is missing; no memory.
pub(super) async fn streamed<C: Canisters>(
    web: &Arc<Web<C>>,
    target: Target,
    request: HttpRequest<'static>,
    mut answer: Answer,
    callback: Callback,
) -> Result<Shown, Failure> {
    let mut rest = Rest::new(web.clone(), callback);
    if !target.is_raw && !claims_to_skip(&answer) {
        let permits = rest.collect(&mut answer.body).await?;
        let (mut answer, certified) = web.checked(target, &request, answer).await?;
        let body = Bytes::from(std::mem::take(&mut answer.body));
        let length = Some(body.len() as u64);
        return Ok(Shown {
            status: answer.status_code,
            headers: answer.headers,
            certified,
            body: pieces(body, permits),
            length,
        });
    }
    let (mut answer, certified) = web.checked(target, &request, answer).await?;
    if !matches!(certified, None | Some(Certified::Skipped)) {
        return Err(Failure::not_verified("it skips certification only in its header".into()));
    }
    let first = Bytes::from(std::mem::take(&mut answer.body));
    Ok(Shown {
        status: answer.status_code,
        headers: answer.headers,
        certified,
        body: rest.into_body(first),
        length: None,
    })
}

/// Whether the answer says that its path is not certified. Only a check of its certificate proves it.
fn claims_to_skip(answer: &Answer) -> bool {
    let expression =
        answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CERTIFICATE_EXPRESSION_HEADER_NAME));
    expression.is_some_and(|(_, value)| value.contains("no_certification"))
}

/// The pieces that are still to come.
struct Rest<C> {
    web: Arc<Web<C>>,
    canister: CanisterId,
    method: String,
    token: Option<AnyValue>,
    pieces_left: usize,
}

impl<C: Canisters> Rest<C> {
    fn new(web: Arc<Web<C>>, callback: Callback) -> Self {
        let function = callback.callback.0;
        Self {
            web,
            canister: function.principal,
            method: function.method,
            token: Some(callback.token),
            pieces_left: PIECES_MAX,
        }
    }

    /// The next piece; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(token) = self.token.take() else { return Ok(None) };
        self.pieces_left = self
            .pieces_left
            .checked_sub(1)
            .ok_or_else(|| Failure::bad_answer(format!("its body has more than {PIECES_MAX} pieces")))?;
        let reply = self.web.canisters.query(self.canister, &self.method, token.to_argument()?).await?;
        let chunk: Chunk = decode(&reply)?;
        self.token = chunk.token;
        Ok(Some(chunk.body))
    }

    /// Appends all pieces to `body` and hands back the room they take.
    async fn collect(&mut self, body: &mut Vec<u8>) -> Result<Vec<Permit>, Failure> {
        let mut permits = vec![self.web.admission.body(body.len())?];
        while let Some(piece) = self.next().await? {
            if body.len() + piece.len() > COLLECTED_BYTES_MAX {
                return Err(Failure::TooLargeToVerify { limit: COLLECTED_BYTES_MAX });
            }
            permits.push(self.web.admission.body(piece.len())?);
            body.extend_from_slice(&piece);
        }
        Ok(permits)
    }

    /// `first`, then each piece when the client has taken the one before. A failure breaks the connection off, so that
    /// no client takes a part for the whole.
    fn into_body(self, first: Bytes) -> Body {
        let pieces = stream::try_unfold((Some(first), self), |(first, mut rest)| async move {
            if let Some(first) = first {
                return Ok(Some((first, (None, rest))));
            }
            let piece = rest.next().await.inspect_err(
                |error| tracing::debug!(canister = %rest.canister, %error, "a body ends before its end"),
            )?;
            Ok::<_, Failure>(piece.map(|piece| (Bytes::from(piece), (None, rest))))
        });
        Body::from_stream(pieces)
    }
}
