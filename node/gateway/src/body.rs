//! Reads a request's body with a cap in bytes and a deadline, before anything looks inside.

use crate::{
    admission::{Admission, Permit},
    failure::Failure,
};
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use bytes::BytesMut;
use futures::StreamExt;
use mains_types::limits::HTTP_BODY_BYTES_MAX;
use std::time::Duration;

/// Bytes of a body that is too large which are still read before the refusal is sent.
const DISCARDED_BYTES_MAX: usize = 32 << 20;

/// A body in memory, with the room it takes up.
pub(crate) struct RawRequest {
    /// What the client sent.
    pub(crate) bytes: Bytes,
    _room: Option<Permit>,
}

/// Reads `body`, at most [`HTTP_BODY_BYTES_MAX`] bytes within `patience`.
///
/// Errors: [`Failure::BodyTooLarge`], [`Failure::BodyTooSlow`], [`Failure::BodyCutOff`], [`Failure::OutOfBodyMemory`].
pub(crate) async fn read(body: Body, admission: &Admission, patience: Duration) -> Result<RawRequest, Failure> {
    let announced = body.size_hint();
    if announced.lower() > HTTP_BODY_BYTES_MAX as u64 {
        let _ = tokio::time::timeout(patience, discard(body.into_data_stream())).await;
        return Err(Failure::BodyTooLarge { limit: HTTP_BODY_BYTES_MAX });
    }
    let mut room = None;
    admission.grow_body(&mut room, 0)?;
    let bytes = tokio::time::timeout(patience, collect(body, admission, &mut room))
        .await
        .map_err(|_| Failure::BodyTooSlow { patience_ms: patience.as_millis() as u64 })??;
    Ok(RawRequest { bytes, _room: room })
}

/// All chunks as one, in room that grows with them; a body that came as one chunk is not copied.
async fn collect(body: Body, admission: &Admission, room: &mut Option<Permit>) -> Result<Bytes, Failure> {
    let mut chunks = body.into_data_stream();
    let mut whole: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut total = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::BodyCutOff)?;
        total += chunk.len();
        if total > HTTP_BODY_BYTES_MAX {
            drop(joined);
            discard(chunks).await;
            return Err(Failure::BodyTooLarge { limit: HTTP_BODY_BYTES_MAX });
        }
        if let Err(failure) = admission.grow_body(room, total) {
            // Whoever sends much reads the refusal only after sending.
            *room = None;
            drop((whole.take(), chunk, joined));
            discard(chunks).await;
            return Err(failure);
        }
        if total == chunk.len() {
            whole = Some(chunk);
            continue;
        }
        if let Some(first) = whole.take() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&chunk);
    }
    Ok(whole.unwrap_or_else(|| joined.freeze()))
}

/// Reads on without keeping anything: a connection closed on unread bytes is reset, and the client never sees why.
async fn discard(mut chunks: BodyDataStream) {
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(chunk)) = chunks.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::io;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn admission() -> Admission {
        Admission::new(64 << 20, 1)
    }

    fn chunks(count: usize, bytes: usize) -> Body {
        Body::from_stream(stream::iter((0..count).map(move |index| Ok::<_, io::Error>(vec![index as u8; bytes]))))
    }

    #[tokio::test]
    async fn chunks_arrive_whole_and_in_order() {
        let read = read(chunks(3, 2), &admission(), PATIENCE).await.unwrap_or_else(|_| panic!("it is small"));
        assert_eq!(&read.bytes[..], [0, 0, 1, 1, 2, 2]);
    }

    #[tokio::test]
    async fn a_body_that_announces_too_much_is_refused_unread() {
        let body = Body::from(vec![0; HTTP_BODY_BYTES_MAX + 1]);
        assert!(matches!(read(body, &admission(), PATIENCE).await, Err(Failure::BodyTooLarge { .. })));
    }

    #[tokio::test]
    async fn a_body_that_grows_beyond_the_cap_is_refused_on_the_way() {
        assert!(matches!(read(chunks(6, 1 << 20), &admission(), PATIENCE).await, Err(Failure::BodyTooLarge { .. })));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_runs_out_of_patience() {
        let body = Body::from_stream(stream::pending::<Result<Vec<u8>, io::Error>>());
        assert!(matches!(read(body, &admission(), Duration::from_millis(20)).await, Err(Failure::BodyTooSlow { .. })));
    }

    #[tokio::test]
    async fn a_body_cut_off_by_the_client_is_told_apart_from_one_too_large() {
        let body = Body::from_stream(stream::iter([Err::<Vec<u8>, _>(io::Error::from(io::ErrorKind::BrokenPipe))]));
        assert!(matches!(read(body, &admission(), PATIENCE).await, Err(Failure::BodyCutOff)));
    }
}
