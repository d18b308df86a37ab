//! Replies on their way out: what of them is in memory, and for how long.
//!
//! A client that asks for much and reads slowly would otherwise keep every reply in memory. Large replies take room from
//! one budget until they are handed to the socket, piece by piece, within a time that a slow line can keep.

use crate::{admission::Permit, connections::Busy, failure::Failure, server::Gateway};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Replies up to this size are not counted: the socket's own buffers take them.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes a second that a client must read of a large reply: a slow line.
const BYTES_PER_SECOND_MIN: u64 = 64 << 10;
/// What every client has on top, for a reply of any size.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives a large reply its room, or turns the request away.
pub(crate) async fn bound(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(bytes) = response.body().size_hint().exact().filter(|bytes| *bytes > PIECE_BYTES as u64) else {
        return response;
    };
    match gateway.admission.reply(bytes as usize) {
        Ok(room) => response.map(|body| Body::new(Pieces::new(body, room, bytes))),
        Err(failure) => failure.into_response(),
    }
}

/// A large body, handed out in pieces.
struct Pieces {
    body: Body,
    rest: Bytes,
    due: Instant,
    _room: Permit,
}

impl Pieces {
    fn new(body: Body, room: Permit, bytes: u64) -> Self {
        let due = Instant::now() + PATIENCE + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
        Self { body, rest: Bytes::new(), due, _room: room }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if Instant::now() > self.due {
            return Poll::Ready(Some(Err(axum::Error::new(Failure::ReplyTooSlow))));
        }
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return other,
            }
        }
        let most = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(most)))))
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        let rest = self.rest.len() as u64;
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(inner.lower() + rest);
        hint
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }
}

/// A body whose connection is busy until it is sent.
pub(crate) struct Sent {
    body: Body,
    _busy: Busy,
}

impl Sent {
    /// `body`, as the answer to the request that `busy` stands for.
    pub(crate) fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Admission;
    use futures::StreamExt as _;

    fn pieces(bytes: usize) -> (Pieces, Vec<u8>) {
        let whole: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
        let room = Admission::new(64 << 20, 1).reply(bytes).unwrap_or_else(|_| panic!("there is room"));
        (Pieces::new(Body::from(whole.clone()), room, bytes as u64), whole)
    }

    #[tokio::test]
    async fn a_large_reply_leaves_in_pieces_and_keeps_its_length() {
        let (body, whole) = pieces(3 * PIECE_BYTES + 5);
        assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
        let mut stream = Body::new(body).into_data_stream();
        let (mut joined, mut greatest) = (Vec::new(), 0);
        while let Some(piece) = stream.next().await {
            let piece = piece.expect("in time");
            greatest = greatest.max(piece.len());
            joined.extend_from_slice(&piece);
        }
        assert_eq!((joined, greatest), (whole, PIECE_BYTES));
    }

    #[tokio::test]
    async fn a_reply_that_nobody_takes_is_given_up() {
        let (mut body, _) = pieces(2 * PIECE_BYTES);
        body.due = Instant::now() - Duration::from_millis(1);
        let mut stream = Body::new(body).into_data_stream();
        assert!(stream.next().await.expect("an answer").is_err());
    }
}
