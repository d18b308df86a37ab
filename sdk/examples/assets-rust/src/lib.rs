//! A website in a canister: certified files of several kinds and sizes, and a visitor count behind an update call.
//!
//! Files are certified once, at installation; a gateway checks every answer against that. Interface: `../assets.did`.

mod pieces;

use std::cell::{Cell, RefCell};

use candid::CandidType;
use ic_asset_certification::{Asset, AssetConfig, AssetEncoding, AssetFallbackConfig, AssetRedirectKind, AssetRouter};
use ic_cdk::{init, post_upgrade, query, update};
use ic_http_certification::{HeaderField, HttpRequest, HttpResponse, HttpUpdateRequest, Method, StatusCode};
use pieces::{Piece, StreamingStrategy, Token};
use serde_bytes::ByteBuf;

/// The interface, readable by anybody at `/canister/<id>/metadata/candid:service`.
#[used]
#[unsafe(link_section = "icp:public candid:service")]
static INTERFACE: [u8; include_bytes!("../../assets.did").len()] = *include_bytes!("../../assets.did");

/// Bytes of the largest file: more than one answer may carry.
const LARGE_BYTES: usize = 5_000_000;

thread_local! {
    static SITE: RefCell<AssetRouter<'static>> = RefCell::new(site());
    static VISITS: Cell<u32> = const { Cell::new(0) };
}

/// An answer with everything that the HTTP gateway protocol knows.
#[derive(CandidType)]
struct Answer {
    status_code: u16,
    headers: Vec<HeaderField>,
    body: ByteBuf,
    upgrade: Option<bool>,
    streaming_strategy: Option<StreamingStrategy>,
}

impl Answer {
    fn text(status: StatusCode, text: impl Into<Vec<u8>>) -> Self {
        Self {
            status_code: status.as_u16(),
            headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())],
            body: ByteBuf::from(text),
            upgrade: None,
            streaming_strategy: None,
        }
    }

    fn certified(response: HttpResponse<'_>, streaming_strategy: Option<StreamingStrategy>) -> Self {
        Self {
            status_code: response.status_code().as_u16(),
            headers: response.headers().to_vec(),
            body: ByteBuf::from(response.body()),
            upgrade: None,
            streaming_strategy,
        }
    }
}

#[init]
fn install() {
    certify();
}

#[post_upgrade]
fn upgrade() {
    certify();
}

fn certify() {
    ic_cdk::api::certified_data_set(SITE.with_borrow(AssetRouter::root_hash));
}

#[query]
fn http_request(request: HttpRequest<'static>) -> Answer {
    let certificate = ic_cdk::api::data_certificate().expect("queries have one");
    match request.get_path().as_deref() {
        Ok("/visits") if request.method() == Method::POST => {
            Answer { upgrade: Some(true), ..Answer::text(StatusCode::OK, "") }
        }
        Ok("/uncertified.txt") => Answer::text(StatusCode::OK, "one replica says so\n"),
        Ok(pieces::PATH) => pieces::answer(&certificate),
        _ => SITE.with_borrow(|site| match site.serve_asset(&certificate, &request) {
            Ok(response) => Answer::certified(response, None),
            Err(error) => Answer::text(StatusCode::BAD_REQUEST, error.to_string()),
        }),
    }
}

#[update]
fn http_request_update(request: HttpUpdateRequest<'static>) -> Answer {
    match request.get_path().as_deref() {
        Ok("/visits") => {
            let visits = VISITS.get() + 1;
            VISITS.set(visits);
            Answer::text(StatusCode::OK, visits.to_string())
        }
        _ => Answer::text(StatusCode::NOT_FOUND, "not here"),
    }
}

#[query]
fn next_piece(token: Token) -> Piece {
    pieces::next(token)
}

/// Lines that count from zero, in at least `bytes` bytes.
fn counting_lines(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 16);
    for line in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.extend_from_slice(format!("{line:07}\n").as_bytes());
    }
    text
}

fn site() -> AssetRouter<'static> {
    let mut site = pieces::certified();
    let file = |path: &str, content_type: &str| AssetConfig::File {
        path: path.into(),
        content_type: Some(content_type.into()),
        headers: vec![
            ("cache-control".into(), "no-cache".into()),
            ("content-security-policy".into(), "default-src 'self'".into()),
            ("x-content-type-options".into(), "nosniff".into()),
        ],
        fallback_for: vec![],
        aliased_by: vec![],
        encodings: vec![],
    };
    let with = |config: AssetConfig, aliases: &[&str], compressed: bool, fallback: Option<AssetFallbackConfig>| {
        let AssetConfig::File { path, content_type, headers, .. } = config else { unreachable!("a file") };
        AssetConfig::File {
            path,
            content_type,
            headers,
            fallback_for: fallback.into_iter().collect(),
            aliased_by: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            encodings: if compressed { vec![AssetEncoding::Gzip.default_config()] } else { vec![] },
        }
    };
    let missing = AssetFallbackConfig { scope: "/".into(), status_code: Some(StatusCode::NOT_FOUND) };
    let configs = vec![
        with(file("index.html", "text/html"), &["/"], true, None),
        with(file("missing.html", "text/html"), &[], false, Some(missing)),
        file("style.css", "text/css"),
        file("script.js", "text/javascript"),
        file("icon.svg", "image/svg+xml"),
        file("large.txt", "text/plain"),
        AssetConfig::Redirect {
            from: "/home".into(),
            to: "/".into(),
            kind: AssetRedirectKind::Temporary,
            headers: vec![],
        },
    ];
    let assets = vec![
        Asset::new("index.html", include_bytes!("../site/index.html").as_slice()),
        Asset::new("index.html.gz", include_bytes!("../site/index.html.gz").as_slice()),
        Asset::new("missing.html", include_bytes!("../site/missing.html").as_slice()),
        Asset::new("style.css", include_bytes!("../site/style.css").as_slice()),
        Asset::new("script.js", include_bytes!("../site/script.js").as_slice()),
        Asset::new("icon.svg", include_bytes!("../site/icon.svg").as_slice()),
        Asset::new("large.txt", counting_lines(LARGE_BYTES)),
    ];
    site.certify_assets(assets, configs).expect("the site is well-formed");
    site
}
