//! A failure as a page for browsers; other clients get the JSON of all failures.

use crate::failure::Failure;
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

/// Nothing is loaded, nothing runs.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1.5rem;\
                     color:#1d2330;background:#fbfbfd}h1{font-size:1.4rem}code{color:#667}\
                     @media(prefers-color-scheme:dark){body{color:#e6e8ee;background:#14161c}}";

/// Whether the client is a browser that opens a page.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// The failure as a page.
pub(super) fn page(failure: Failure) -> Response {
    let explanation = failure.explanation();
    let (message, advice) = (escaped(&explanation.message), escaped(explanation.advice));
    let code = explanation.code;
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{code}</title><style>{STYLE}</style><h1>{message}</h1><p>What to do: {advice}.</p><p><code>{code}</code></p></html>"
    );
    let mut response = failure.into_response();
    let page = Html(html).into_response();
    for (name, value) in page.headers() {
        response.headers_mut().insert(name, value.clone());
    }
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = page.into_body();
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_canister_says_is_text_on_the_page() {
        assert_eq!(escaped("<script>\"&\"</script>"), "&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;");
    }

    #[test]
    fn browsers_that_open_a_page_are_told_from_programs() {
        let accepting = |value: &'static str| {
            wants_html(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepting("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!accepting("*/*"));
        assert!(!wants_html(&HeaderMap::new()));
    }
}
