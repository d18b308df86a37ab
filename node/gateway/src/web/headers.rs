//! Which headers pass, in both directions.

use crate::{failure::Failure, web::verify::Certified};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers and their bytes, names and values together, that a canister may answer with.
const ANSWER_HEADERS_MAX: usize = 256;
const ANSWER_HEADER_BYTES_MAX: usize = 64 << 10;

/// Headers that belong to one connection, and those that this server writes itself.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];
/// Answers' headers that act on a whole origin: dropped where other pages share it.
const ORIGIN_WIDE: [&str; 5] =
    ["set-cookie", "clear-site-data", "strict-transport-security", "service-worker-allowed", "alt-svc"];
/// Answers' headers that a single replica must not be able to set: dropped when version 1 certified only the body.
const UNCERTIFIED: [&str; 6] =
    ["cache-control", "set-cookie", "clear-site-data", "location", "refresh", "service-worker-allowed"];
/// Requests' headers with secrets of the other pages of a shared origin.
const SECRETS: [&str; 2] = ["cookie", "authorization"];

/// The headers of a request as the canister sees them.
///
/// # Errors
/// A value that is not visible ASCII.
pub(crate) fn for_canister(headers: &HeaderMap, is_shared: bool) -> Result<Vec<(String, String)>, Failure> {
    let listed = connection_options(headers);
    let mut out = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let is_dropped = HOP_BY_HOP.contains(&name.as_str())
            || listed.iter().any(|other| other == name.as_str())
            || is_shared && SECRETS.contains(&name.as_str());
        if is_dropped {
            continue;
        }
        let value = value.to_str().map_err(|_| Failure::BadHeader { name: name.to_string() })?;
        let value = if name == header::ACCEPT_ENCODING { with_identity(value) } else { value.to_owned() };
        out.push((name.to_string(), value));
    }
    Ok(out)
}

/// Names that a `Connection` header declares to be hop-by-hop, too.
fn connection_options(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Lets canisters answer unencoded, which every client can read.
fn with_identity(encodings: &str) -> String {
    let names_it = encodings
        .split(',')
        .any(|encoding| encoding.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("identity")));
    match encodings.trim() {
        "" => "identity".into(),
        _ if names_it => encodings.to_owned(),
        some => format!("{some}, identity"),
    }
}

/// The headers of an answer as the client sees them. `certified` is `None` for an answer that needs no proof.
///
/// # Errors
/// Too many or too large, or a name or value that HTTP does not allow.
pub(crate) fn for_client(
    all: &[(String, String)],
    certified: Option<&Certified>,
    is_shared: bool,
) -> Result<HeaderMap, Failure> {
    let fields = match certified {
        Some(Certified::Response(fields)) => fields,
        _ => all,
    };
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    if fields.len() > ANSWER_HEADERS_MAX || bytes > ANSWER_HEADER_BYTES_MAX {
        return Err(Failure::bad_answer(format!("it has {} headers of {bytes} bytes", fields.len())));
    }
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| Failure::bad_answer("it has a header with an invalid name".into()))?;
        let is_dropped = HOP_BY_HOP.contains(&name.as_str())
            || is_shared && ORIGIN_WIDE.contains(&name.as_str())
            || certified == Some(&Certified::Body) && UNCERTIFIED.contains(&name.as_str())
            || name == header::SET_COOKIE && names_a_domain(value);
        if is_dropped {
            continue;
        }
        let value = HeaderValue::try_from(value.as_str())
            .map_err(|_| Failure::bad_answer(format!("its header `{name}` has an invalid value")))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether a cookie wants to be seen by other hosts, and so by other canisters.
fn names_a_domain(cookie: &str) -> bool {
    cookie
        .split(';')
        .skip(1)
        .any(|attribute| attribute.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("domain")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    fn request(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_belongs_to_a_connection_ends_here_in_both_directions() {
        let sent = request(&[("connection", "X-Mine, close"), ("x-mine", "1"), ("te", "trailers"), ("accept", "*/*")]);
        assert_eq!(for_canister(&sent, false).unwrap(), fields(&[("accept", "*/*")]));
        let answered = fields(&[("Transfer-Encoding", "chunked"), ("Content-Length", "9"), ("X-Own", "1")]);
        assert_eq!(names(&for_client(&answered, None, false).unwrap()), ["x-own"]);
    }

    #[test]
    fn an_answer_without_encoding_is_always_welcome() {
        let asked = |encodings| for_canister(&request(&[("accept-encoding", encodings)]), false).unwrap()[0].1.clone();
        assert_eq!(asked("gzip, br"), "gzip, br, identity");
        assert_eq!(asked("gzip, Identity;q=0.5"), "gzip, Identity;q=0.5");
        assert_eq!(asked(""), "identity");
    }

    #[test]
    fn cookies_are_between_a_canister_and_its_own_host() {
        let sent = request(&[("cookie", "a=1"), ("authorization", "Basic x"), ("accept", "*/*")]);
        assert_eq!(for_canister(&sent, true).unwrap(), fields(&[("accept", "*/*")]));
        assert_eq!(for_canister(&sent, false).unwrap().len(), 3);
        let answered = fields(&[
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; domain = localhost"),
            ("Set-Cookie", "domain=3"),
        ]);
        let own = for_client(&answered, None, false).unwrap();
        let kept: Vec<_> = own.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(kept, ["a=1; Path=/", "domain=3"]);
        assert!(for_client(&answered, None, true).unwrap().is_empty());
    }

    #[test]
    fn headers_pass_as_far_as_they_are_certified() {
        let answered = fields(&[("Content-Type", "text/html"), ("Cache-Control", "max-age=1"), ("X-Other", "1")]);
        let version_2 = Certified::Response(fields(&[("Content-Type", "text/html")]));
        assert_eq!(names(&for_client(&answered, Some(&version_2), false).unwrap()), ["content-type"]);
        let version_1 = for_client(&answered, Some(&Certified::Body), false).unwrap();
        assert_eq!(names(&version_1), ["content-type", "x-other"]);
        let skipped = for_client(&answered, Some(&Certified::Skipped), false).unwrap();
        assert_eq!(names(&skipped), ["cache-control", "content-type", "x-other"]);
    }

    #[test]
    fn headers_that_http_does_not_allow_are_no_answer() {
        for field in [("bad name", "x"), ("x", "a\r\nset-cookie: b=1"), ("", "x")] {
            assert!(matches!(for_client(&fields(&[field]), None, false), Err(Failure::BadAnswer { .. })), "{field:?}");
        }
        let many = vec![("x".to_owned(), String::new()); ANSWER_HEADERS_MAX + 1];
        assert!(matches!(for_client(&many, None, false), Err(Failure::BadAnswer { .. })));
        let large = fields(&[("x", &"a".repeat(ANSWER_HEADER_BYTES_MAX))]);
        assert!(matches!(for_client(&large, None, false), Err(Failure::BadAnswer { .. })));
    }
}
