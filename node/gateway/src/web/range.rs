//! Large certified bodies: a canister answers with a first part (206) though none was asked for, and the gateway asks for
//! the others. Each part is certified by itself, so each is checked and sent on before the next one is fetched.

use crate::{
    failure::Failure,
    web::{Canisters, Shown, Web, body::PIECES_MAX, message::Answer, target::Target, verify::Certified},
};
use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
};
use futures::stream;
use ic_http_certification::HttpRequest;
use std::sync::Arc;

/// Shows a body whose first part is in `answer`: as a whole, with status 200.
///
/// # Errors
/// [`Failure::BadAnswer`] if the part does not say, consistently, what it is a part of.
pub(super) fn assembled<C: Canisters>(
    web: &Arc<Web<C>>,
    target: Target,
    request: HttpRequest<'static>,
    mut answer: Answer,
    certified: Option<Certified>,
) -> Result<Shown, Failure> {
    let part = Part::of(&answer, certified.as_ref())?;
    if part.first != 0 {
        return Err(Failure::bad_answer(format!("it begins with byte {} and none was asked for", part.first)));
    }
    let first = Bytes::from(std::mem::take(&mut answer.body));
    let parts = Parts {
        web: web.clone(),
        target,
        request,
        total: part.total,
        tag: part.tag,
        sent: first.len() as u64,
        parts_left: PIECES_MAX,
    };
    let without_range = |fields: Vec<(String, String)>| -> Vec<(String, String)> {
        fields.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case(header::CONTENT_RANGE.as_str())).collect()
    };
    Ok(Shown {
        status: StatusCode::OK.as_u16(),
        headers: without_range(answer.headers),
        certified: certified.map(|certified| match certified {
            Certified::Response(fields) => Certified::Response(without_range(fields)),
            other => other,
        }),
        body: parts.into_body(first),
        length: Some(part.total),
    })
}

/// What a part says about itself.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// Its first byte's place in the whole.
    first: u64,
    /// Bytes of the whole.
    total: u64,
    /// The version of the whole.
    tag: Option<String>,
}

impl Part {
    /// Reads the headers of a part, the certified ones if there are such, and compares them with its body.
    fn of(answer: &Answer, certified: Option<&Certified>) -> Result<Self, Failure> {
        let fields = match certified {
            Some(Certified::Response(fields)) => fields,
            _ => &answer.headers,
        };
        let field = |wanted: header::HeaderName| {
            fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_str())).map(|(_, value)| value.as_str())
        };
        let range = field(header::CONTENT_RANGE)
            .ok_or_else(|| Failure::bad_answer("a part of a body without Content-Range".into()))?;
        let (first, last, total) = parse(range)
            .ok_or_else(|| Failure::bad_answer("its Content-Range is not `bytes FIRST-LAST/TOTAL`".into()))?;
        if answer.body.len() as u64 != last - first + 1 {
            return Err(Failure::bad_answer(format!("bytes {first}-{last} and {} bytes of body", answer.body.len())));
        }
        Ok(Self { first, total, tag: field(header::ETAG).map(str::to_owned) })
    }
}

/// `bytes FIRST-LAST/TOTAL` with `FIRST <= LAST < TOTAL`.
fn parse(range: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then_some((first, last, total))
}

/// The parts that are still to come.
struct Parts<C> {
    web: Arc<Web<C>>,
    target: Target,
    request: HttpRequest<'static>,
    total: u64,
    tag: Option<String>,
    sent: u64,
    parts_left: usize,
}

impl<C: Canisters> Parts<C> {
    /// The bytes behind those sent; `None` if there are none.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.sent == self.total {
            return Ok(None);
        }
        self.parts_left = self
            .parts_left
            .checked_sub(1)
            .ok_or_else(|| Failure::bad_answer(format!("its body has more than {PIECES_MAX} parts")))?;
        let mut request = self.request.clone();
        request.headers_mut().push(("range".into(), format!("bytes={}-", self.sent)));
        let answer = self.web.ask(self.target.canister, &request).await?;
        if answer.status_code != StatusCode::PARTIAL_CONTENT || answer.streaming_strategy.is_some() {
            return Err(Failure::bad_answer(format!("status {} where a part belongs", answer.status_code)));
        }
        let (answer, certified) = self.web.checked(self.target, &request, answer).await?;
        let part = Part::of(&answer, certified.as_ref())?;
        if part.total != self.total || part.tag != self.tag {
            return Err(Failure::bad_answer("the body changed while it was sent".into()));
        }
        let body = Bytes::from(answer.body);
        let known = self.sent.checked_sub(part.first).filter(|known| *known < body.len() as u64);
        let known = known.ok_or_else(|| Failure::bad_answer(format!("no part holds byte {}", self.sent)))?;
        let piece = body.slice(known as usize..);
        self.sent += piece.len() as u64;
        Ok(Some(piece))
    }

    /// `first`, then each part when the client has taken the one before. A failure breaks the connection off before the
    /// announced length is reached.
    fn into_body(self, first: Bytes) -> Body {
        let parts = stream::try_unfold((Some(first), self), |(first, mut parts)| async move {
            if let Some(first) = first {
                return Ok(Some((first, (None, parts))));
            }
            let piece = parts.next().await.inspect_err(
                |error| tracing::debug!(canister = %parts.target.canister, %error, "a body ends before its end"),
            )?;
            Ok::<_, Failure>(piece.map(|piece| (piece, (None, parts))))
        });
        Body::from_stream(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(parse("bytes 0-0/1"), Some((0, 0, 1)));
        assert_eq!(parse("bytes 100-2000/3000"), Some((100, 2000, 3000)));
        for wrong in [
            "bytes */3",
            "bytes 1-2/*",
            "bytes 2-1/3",
            "bytes 0-3/3",
            "items 0-1/3",
            "bytes +0-1/3",
            "bytes 0-1",
            "bytes -1/3",
            "bytes 0-99999999999999999999/3",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
