//! The gateway in front of scripted canisters: certified ones with the libraries that canisters use.

mod certified;
mod large;
mod script;

use super::*;
use axum::http::Request;
use candid::Decode;
use script::{Gateway, own_host, plain, raw_host, request_of};
use std::sync::Mutex;

fn own(builder: axum::http::request::Builder) -> axum::http::request::Builder {
    builder.header(header::HOST, own_host())
}

#[tokio::test]
async fn a_canister_sees_the_request_as_it_was_sent() {
    let gateway = Gateway::answering(|request| {
        let names: Vec<&str> = request.headers().iter().map(|(name, _)| name.as_str()).collect();
        let seen = format!(
            "{} {} {names:?} {} {:?}",
            request.method(),
            request.url(),
            String::from_utf8_lossy(request.body()),
            request.certificate_version()
        );
        plain(201, &[("X-Own", "1")], seen.as_bytes())
    });
    let request = Request::post("/a%20b/?q=1&canisterId=x")
        .header(header::HOST, raw_host())
        .header("accept", "*/*")
        .header("connection", "close");
    let answered = gateway.send_body(request, Body::from("body")).await;
    assert_eq!(answered.status, 201);
    assert_eq!(answered.text(), "POST /a%20b/?q=1&canisterId=x [\"host\", \"accept\"] body Some(2)");
    assert_eq!(answered.header("x-own"), Some("1"));
    assert_eq!(
        answered.header("x-ic-canister-id"),
        Some(mains_types::ids::canister_id(script::NUMBER).to_text().as_str())
    );
    assert_eq!(answered.header("content-length"), Some(answered.text().len().to_string().as_str()));
}

#[tokio::test]
async fn what_names_no_canister_goes_to_the_node() {
    let gateway = Gateway::new(|_, _| panic!("nobody asks the canister"));
    assert_eq!(gateway.get("/api/v2/status").await.text(), "node");
    assert_eq!(gateway.send(Request::get("/").header(header::HOST, "localhost:4950")).await.text(), "node");
    let nobody = gateway.send(Request::get("/").header(header::HOST, "hello.localhost:4950")).await;
    assert_eq!((nobody.status, nobody.code()), (StatusCode::BAD_REQUEST, "MAINS-1401".into()));
}

#[tokio::test]
async fn an_answer_that_asks_for_a_call_is_replaced_by_the_calls_reply() {
    let sent = Arc::new(Mutex::new(None));
    let seen = sent.clone();
    let gateway = Gateway::new(move |method, argument| {
        let request = Decode!(argument, HttpUpdateRequest<'static>).unwrap();
        *seen.lock().unwrap() = Some(request.body().to_vec());
        let mut answer = plain(200, &[], b"ask again");
        if method == "http_request" {
            answer = ic_http_certification::HttpResponseBuilder::from(answer).with_upgrade(true).build();
        } else {
            answer = plain(202, &[("X-Set", "by consensus")], b"done");
        }
        Ok(Encode!(&answer).unwrap())
    });
    let answered = gateway.send_body(own(Request::post("/")), Body::from("change")).await;
    assert_eq!((answered.status.as_u16(), answered.text()), (202, "done".into()));
    assert_eq!(answered.header("x-set"), Some("by consensus"));
    assert_eq!(sent.lock().unwrap().as_deref(), Some(&b"change"[..]));
    assert_eq!(*gateway.asked.lock().unwrap(), ["http_request", "http_request_update"]);
}

fn upgrading() -> Vec<u8> {
    let answer = ic_http_certification::HttpResponse::builder().with_upgrade(true).build();
    Encode!(&answer).unwrap()
}

#[tokio::test]
async fn a_call_that_fails_or_takes_too_long_says_so() {
    let reject = |code, error_code| Reject::new(code, error_code, "why");
    let missing = Gateway::new(move |method, _| match method {
        "http_request" => Ok(upgrading()),
        _ => Err(Failure::Rejected(reject(RejectCode::CanisterError, ErrorCode::CanisterMethodMissing))),
    });
    assert_eq!(missing.get("/").await.code(), "MAINS-1407");
    let trapping = Gateway::new(move |method, _| match method {
        "http_request" => Ok(upgrading()),
        _ => Err(Failure::Rejected(reject(RejectCode::CanisterError, ErrorCode::CanisterTrapped))),
    });
    assert_eq!(trapping.get("/").await.code(), "MAINS-1406");
    let config = Config { call_wait_ms: 20, ..Config::default() };
    let slow = Gateway::with(
        config,
        |method, _| if method == "http_request" { Ok(upgrading()) } else { Err(Failure::NoSuchPath) },
    );
    slow.hang_updates();
    let answered = slow.get("/").await;
    assert_eq!((answered.status, answered.code()), (StatusCode::GATEWAY_TIMEOUT, "MAINS-1410".into()));
}

#[tokio::test]
async fn why_there_is_no_page_is_said_in_one_line() {
    let cases = [
        (RejectCode::DestinationInvalid, ErrorCode::CanisterNotFound, 404, "MAINS-1301"),
        (RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound, 503, "MAINS-1402"),
        (RejectCode::CanisterError, ErrorCode::CanisterStopped, 503, "MAINS-1403"),
        (RejectCode::CanisterError, ErrorCode::CanisterStopping, 503, "MAINS-1403"),
        (RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles, 503, "MAINS-1404"),
        (RejectCode::CanisterError, ErrorCode::CanisterMethodMissing, 404, "MAINS-1405"),
        (RejectCode::CanisterError, ErrorCode::CanisterTrapped, 502, "MAINS-1406"),
        (RejectCode::SysTransient, ErrorCode::CanisterQueueFull, 429, "MAINS-1201"),
    ];
    for (code, error_code, status, expected) in cases {
        let gateway = Gateway::new(move |_, _| Err(Failure::Rejected(Reject::new(code, error_code, "why"))));
        let answered = gateway.get("/").await;
        assert_eq!((answered.status.as_u16(), answered.code().as_str()), (status, expected), "{error_code:?}");
        assert_eq!(answered.header("content-type"), Some("application/json"));
        let page = gateway.send(own(Request::get("/")).header("accept", "text/html,*/*")).await;
        assert_eq!((page.status.as_u16(), page.code().as_str()), (status, expected), "{error_code:?}");
        assert!(page.text().starts_with("<!doctype html>"));
        assert!(page.header("content-security-policy").is_some());
    }
}

#[tokio::test]
async fn an_answer_that_is_no_http_response_is_refused() {
    for status in [0, 99, 101, 199, 600, 1000] {
        let gateway = Gateway::answering(move |_| {
            #[derive(candid::CandidType)]
            struct Odd {
                status_code: u16,
                headers: Vec<(String, String)>,
                body: Vec<u8>,
            }
            Odd { status_code: status, headers: vec![], body: vec![] }
        });
        let answered = gateway.send(Request::get("/").header(header::HOST, raw_host())).await;
        assert_eq!((answered.status.as_u16(), answered.code().as_str()), (502, "MAINS-1407"), "{status}");
    }
    let text = Gateway::answering(|_| "hello");
    assert_eq!(text.get("/").await.code(), "MAINS-1407");
}

#[tokio::test]
async fn requests_are_bounded() {
    let gateway = Gateway::new(|_, _| panic!("nobody asks the canister"));
    let long = gateway.send(own(Request::get("/")).header("x", "a".repeat(REQUEST_HEAD_BYTES_MAX))).await;
    assert_eq!((long.status.as_u16(), long.code().as_str()), (431, "MAINS-1010"));
    let large = gateway.send_body(own(Request::post("/")), Body::from(vec![0; REQUEST_BODY_BYTES_MAX + 1])).await;
    assert_eq!((large.status.as_u16(), large.code().as_str()), (413, "MAINS-1008"));
    let odd = gateway.send(own(Request::get("/")).header("x", HeaderValue::from_bytes(b"\xff").unwrap())).await;
    assert_eq!((odd.status.as_u16(), odd.code().as_str()), (400, "MAINS-1011"));
}

#[tokio::test]
async fn other_origins_may_ask() {
    let gateway = Gateway::answering(|request| match request.url() {
        "/own" => plain(200, &[("Access-Control-Allow-Origin", "https://a.example")], b""),
        _ => plain(200, &[], request.method().as_str().as_bytes()),
    });
    let raw = |builder: axum::http::request::Builder| builder.header(header::HOST, raw_host());
    let preflight = raw(Request::options("/x"))
        .header("origin", "https://a.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization, x-y");
    let allowed = gateway.send(preflight).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("*"));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("authorization, x-y"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PUT"));
    assert!(gateway.asked.lock().unwrap().is_empty(), "a preflight asks nobody");
    // Without an origin it is a request like any other.
    assert_eq!(gateway.send(raw(Request::options("/x"))).await.text(), "OPTIONS");
    assert_eq!(gateway.send(raw(Request::get("/x"))).await.header("access-control-allow-origin"), Some("*"));
    let own = gateway.send(raw(Request::get("/own"))).await;
    assert_eq!(own.header("access-control-allow-origin"), Some("https://a.example"));
}

#[tokio::test]
async fn pages_that_share_an_origin_cannot_rule_it() {
    let path = format!("/?canisterId={}", mains_types::ids::canister_id(script::NUMBER));
    let gateway = Gateway::new(|_, argument| {
        assert!(request_of(argument).headers().iter().all(|(name, _)| name != "cookie"));
        Ok(upgrading())
    });
    let worker = Request::get(&path).header(header::HOST, "127.0.0.1:4950").header("service-worker", "script");
    assert_eq!(gateway.send(worker).await.code(), "MAINS-1411");
    let gateway = Gateway::new(|method, argument| {
        assert!(request_of(argument).headers().iter().all(|(name, _)| name != "cookie"));
        Ok(if method == "http_request" {
            upgrading()
        } else {
            Encode!(&plain(200, &[("Set-Cookie", "a=1")], b"")).unwrap()
        })
    });
    let answered =
        gateway.send(Request::get(&path).header(header::HOST, "127.0.0.1:4950").header("cookie", "a=1")).await;
    assert_eq!((answered.status.as_u16(), answered.header("set-cookie")), (200, None));
}

#[tokio::test]
async fn statuses_without_a_body_have_none() {
    let gateway = Gateway::answering(|_| plain(304, &[("ETag", "\"1\"")], b"a body all the same"));
    let answered = gateway.send(Request::get("/").header(header::HOST, raw_host())).await;
    assert_eq!((answered.status.as_u16(), answered.text().as_str()), (304, ""));
    assert_eq!(answered.header("etag"), Some("\"1\""));
}
