//! Bodies that come in pieces: through streaming callbacks, and as certified parts.

use super::{
    own,
    script::{Gateway, NOW, NUMBER, certificate, own_host, raw_host},
};
use crate::{
    Config,
    failure::Failure,
    web::body::{COLLECTED_BYTES_MAX, PIECES_MAX},
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use candid::{CandidType, Decode, Encode};
use futures::StreamExt;
use ic_asset_certification::{ASSET_CHUNK_SIZE, Asset, AssetConfig, AssetRouter};
use ic_http_certification::{
    HttpRequest, HttpResponse,
    utils::{add_skip_certification_header, skip_certification_certified_data},
};
use mains_types::ids::canister_id;
use std::cell::RefCell;

/// A certified body of two and a half parts, none like the other.
const BIG_BYTES: usize = 2 * ASSET_CHUNK_SIZE + 1_000_000;

fn big() -> Vec<u8> {
    (0..BIG_BYTES).map(|index| (index / 1_000 % 251) as u8).collect()
}

thread_local! {
    static SITE: RefCell<Option<AssetRouter<'static>>> = const { RefCell::new(None) };
}

/// Answers as a canister with one big asset does.
fn served(request: &HttpRequest<'_>) -> HttpResponse<'static> {
    SITE.with_borrow_mut(|site| {
        let site = site.get_or_insert_with(|| {
            let mut site = AssetRouter::default();
            let file = AssetConfig::File {
                path: "big".into(),
                content_type: Some("application/octet-stream".into()),
                headers: vec![("etag".into(), "\"1\"".into())],
                fallback_for: vec![],
                aliased_by: vec![],
                encodings: vec![],
            };
            site.certify_assets(vec![Asset::new("big", big())], vec![file]).unwrap();
            site
        });
        site.serve_asset(&certificate(canister_id(NUMBER), &site.root_hash(), NOW), request).unwrap()
    })
}

fn range_of(request: &HttpRequest<'_>) -> Option<String> {
    request.headers().iter().find(|(name, _)| name.eq_ignore_ascii_case("range")).map(|(_, value)| value.clone())
}

#[tokio::test]
async fn certified_parts_become_a_whole() {
    let gateway = Gateway::answering(served);
    let answered = gateway.get("/big").await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.header("content-length"), Some(BIG_BYTES.to_string().as_str()));
    assert_eq!((answered.header("content-range"), answered.header("etag")), (None, Some("\"1\"")));
    assert!(answered.body == Some(big()), "all bytes, in order");
    assert_eq!(gateway.asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_part_that_was_asked_for_is_passed_on_as_a_part() {
    let gateway = Gateway::answering(served);
    let range = format!("bytes={ASSET_CHUNK_SIZE}-");
    let answered = gateway.send(own(Request::get("/big")).header("range", range)).await;
    assert_eq!(answered.status, StatusCode::PARTIAL_CONTENT);
    let expected = format!("bytes {ASSET_CHUNK_SIZE}-{}/{BIG_BYTES}", 2 * ASSET_CHUNK_SIZE - 1);
    assert_eq!(answered.header("content-range"), Some(expected.as_str()));
    assert!(answered.body.unwrap() == big()[ASSET_CHUNK_SIZE..2 * ASSET_CHUNK_SIZE]);
}

#[tokio::test]
async fn a_head_request_for_parts_fetches_one_and_tells_the_whole_length() {
    let gateway = Gateway::answering(served);
    let answered = gateway.send(own(Request::head("/big"))).await;
    assert_eq!((answered.status, answered.text().as_str()), (StatusCode::OK, ""));
    assert_eq!(answered.header("content-length"), Some(BIG_BYTES.to_string().as_str()));
    assert_eq!(gateway.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_bad_part_breaks_the_body_off() {
    type Forge = fn(HttpResponse<'static>) -> HttpResponse<'static>;
    let forgeries: [(&str, Forge); 3] = [
        ("other bytes", |answer| rebuilt(&answer, answer.headers().to_vec(), vec![0; answer.body().len()])),
        ("the first part again", |_| served(&HttpRequest::get("/big").build())),
        ("no certificate", |answer| {
            let fields = answer.headers().iter().filter(|(name, _)| !name.eq_ignore_ascii_case("ic-certificate"));
            rebuilt(&answer, fields.cloned().collect(), answer.body().to_vec())
        }),
    ];
    for (name, forge) in forgeries {
        let gateway = Gateway::answering(move |request| match range_of(request) {
            Some(_) => forge(served(request)),
            None => served(request),
        });
        let answered = gateway.get("/big").await;
        assert_eq!(answered.status, StatusCode::OK, "{name}");
        assert!(answered.body.is_none(), "{name}");
    }
}

fn rebuilt(answer: &HttpResponse<'_>, headers: Vec<(String, String)>, body: Vec<u8>) -> HttpResponse<'static> {
    HttpResponse::builder().with_status_code(answer.status_code()).with_headers(headers).with_body(body).build()
}

#[derive(CandidType)]
struct Streaming {
    status_code: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    streaming_strategy: Option<Strategy>,
}

candid::define_function!(Next : (u32) -> () query);

#[derive(CandidType)]
enum Strategy {
    Callback { callback: Next, token: u32 },
}

#[derive(CandidType)]
struct Piece {
    body: Vec<u8>,
    token: Option<u32>,
}

/// A canister that hands out `pieces` of the bytes 1, 2, 3, …, each `piece_bytes` long, behind a first one of zeros,
/// under the head of `whole`.
fn streaming(
    whole: impl Fn() -> HttpResponse<'static> + Send + Sync + 'static,
    pieces: u32,
    piece_bytes: usize,
) -> impl Fn(&str, &[u8]) -> Result<Vec<u8>, Failure> + Send + Sync + 'static {
    move |method, argument| {
        if method == "http_request" {
            let whole = whole();
            let callback = Next::new(canister_id(NUMBER), "next".into());
            return Ok(Encode!(&Streaming {
                status_code: whole.status_code().as_u16(),
                headers: whole.headers().to_vec(),
                body: vec![0; piece_bytes],
                streaming_strategy: Some(Strategy::Callback { callback, token: 1 }),
            })
            .unwrap());
        }
        assert_eq!(method, "next");
        let token = Decode!(argument, u32).unwrap();
        let next = (token < pieces).then_some(token + 1);
        Ok(Encode!(&Piece { body: vec![token as u8; piece_bytes], token: next }).unwrap())
    }
}

fn streamed(pieces: u32, piece_bytes: usize) -> Vec<u8> {
    (0..=pieces).flat_map(|piece| vec![piece as u8; piece_bytes]).collect()
}

/// The head of a certified answer with this body.
fn certified(body: Vec<u8>) -> impl Fn() -> HttpResponse<'static> + Send + Sync + 'static {
    move || {
        let mut site = AssetRouter::default();
        let file = AssetConfig::File {
            path: "s".into(),
            content_type: None,
            headers: vec![],
            fallback_for: vec![],
            aliased_by: vec![],
            encodings: vec![],
        };
        site.certify_assets(vec![Asset::new("s", body.clone())], vec![file]).unwrap();
        let certificate = certificate(canister_id(NUMBER), &site.root_hash(), NOW);
        site.serve_asset(&certificate, &HttpRequest::get("/s").build()).unwrap()
    }
}

#[tokio::test]
async fn a_certified_body_in_pieces_is_checked_before_it_is_sent() {
    let gateway = Gateway::new(streaming(certified(streamed(6, 100_000)), 6, 100_000));
    let answered = gateway.get("/s").await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.header("content-length"), Some("700000"));
    assert!(answered.body == Some(streamed(6, 100_000)));
    let forged = Gateway::new(streaming(certified(streamed(6, 100_000)), 5, 100_000));
    assert_eq!(forged.get("/s").await.code(), "MAINS-1408");
}

#[tokio::test]
async fn a_certified_body_in_pieces_is_bounded() {
    let pieces = (COLLECTED_BYTES_MAX / 1_000_000 + 1) as u32;
    let gateway = Gateway::new(streaming(certified(vec![]), pieces, 1_000_000));
    let answered = gateway.get("/s").await;
    assert_eq!((answered.status.as_u16(), answered.code().as_str()), (502, "MAINS-1409"));
    // Bodies of all requests together are bounded, too.
    let config = Config { bodies_bytes_max: 3_000_000, ..Config::default() };
    let crowded = Gateway::with(config, streaming(certified(vec![]), 5, 1_000_000));
    let answered = crowded.get("/s").await;
    assert_eq!((answered.status.as_u16(), answered.code().as_str()), (503, "MAINS-1202"));
}

#[tokio::test]
async fn what_needs_no_proof_is_fetched_as_fast_as_the_client_takes_it() {
    let skipping = || {
        let mut answer = HttpResponse::ok(vec![], vec![]).build();
        let data = skip_certification_certified_data();
        add_skip_certification_header(certificate(canister_id(NUMBER), &data, NOW), &mut answer);
        answer
    };
    let plain = || HttpResponse::ok(vec![], vec![]).build();
    for (host, gateway) in [
        (raw_host(), Gateway::new(streaming(plain, 50, 1_000))),
        (own_host(), Gateway::new(streaming(skipping, 50, 1_000))),
    ] {
        let request = Request::get("/s").header(header::HOST, host).body(Body::empty()).unwrap();
        let response = gateway.respond(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body().into_data_stream();
        for taken in 0..3 {
            assert_eq!(body.next().await.unwrap().unwrap()[0], taken);
        }
        assert_eq!(gateway.asked.lock().unwrap().len(), 3, "the beginning and two pieces");
        let mut rest = Vec::new();
        while let Some(piece) = body.next().await {
            rest.extend_from_slice(&piece.unwrap());
        }
        assert!(rest == streamed(50, 1_000)[3_000..]);
    }
}

#[tokio::test]
async fn tokens_that_never_end_are_followed_for_a_while() {
    let plain = || HttpResponse::ok(vec![], vec![]).build();
    let gateway = Gateway::new(streaming(plain, u32::MAX, 1));
    let answered = gateway.send(Request::get("/s").header(header::HOST, raw_host())).await;
    assert!(answered.body.is_none(), "the connection breaks off");
    assert_eq!(gateway.asked.lock().unwrap().len(), 1 + PIECES_MAX);
    let verified = Gateway::new(streaming(certified(vec![]), u32::MAX, 1));
    assert_eq!(verified.get("/s").await.code(), "MAINS-1407");
}

#[tokio::test]
async fn a_stream_behind_a_call_is_refused() {
    let stream = streaming(|| HttpResponse::ok(vec![], vec![]).build(), 3, 10);
    let gateway = Gateway::new(move |method, argument| match method {
        "http_request" => Ok(Encode!(&HttpResponse::builder().with_upgrade(true).build()).unwrap()),
        _ => {
            assert!(!request_of_call(argument).is_empty());
            stream("http_request", argument)
        }
    });
    assert_eq!(gateway.get("/s").await.code(), "MAINS-1408");
}

fn request_of_call(argument: &[u8]) -> String {
    Decode!(argument, ic_http_certification::HttpUpdateRequest<'static>).unwrap().url().to_owned()
}
